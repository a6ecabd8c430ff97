"""A video backbone of Hugging Face transformers under a head of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pipeline.config import ClipFormat, ModelConfig
from pipeline.errors import UserError
from pipeline.learn.hub import commit_of
from pipeline.learn.networks.base import Network, NetworkFactory, ParameterGroup, Rebuilding
from pipeline.learn.networks.hub import fresh_backbone, read_checkpoint
from pipeline.learn.networks.layers import fresh_head
from pipeline.learn.pixels import Pixels
from pipeline.store import workdir

ALPHA = 2
"""Strength of the adapters for each of their ranks."""


class HfNet(Network):
    """Features are what the backbone's own classifier would see.

    Args:
        backbone: of transformers' `AutoModelForVideoClassification`.
        model_type, config: what `hub.fresh_backbone` makes the same backbone of.
        pixels: how clips become its input.
        lora_rank: of adapters at all linear maps of its layers; 0 for none (Hu et al., "LoRA",
            2021).

    Raises:
        UserError: adapters are asked for without peft.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        model_type: str,
        config: dict[str, Any],
        pixels: Pixels,
        dropout: float,
        lora_rank: int,
    ) -> None:
        super().__init__()
        self.model_type, self.config = model_type, config
        self.pixels, self.lora_rank = pixels, lora_rank
        self.layer_decay = 1.0
        self._frozen = False
        classifier = backbone.classifier
        assert isinstance(classifier, nn.Linear)
        self.num_features = classifier.in_features
        backbone.classifier = nn.Identity()
        base: Any = backbone.base_model
        # V-JEPA 2 guesses hidden patches with it, and classifies without.
        if hasattr(base, "predictor"):
            base.predictor = nn.Identity()
        self.backbone = backbone
        if lora_rank:
            self._adapt(lora_rank)
        self.dropout = nn.Dropout(dropout)
        self.head = fresh_head(self.num_features)

    @classmethod
    def from_checkpoint(
        cls, name: str, *, dropout: float, freeze: bool, layer_decay: float, lora_rank: int
    ) -> HfNet:
        """With the trained weights in a folder or of a hub id.

        Args:
            freeze: train only the head and what the checkpoint lacks.
            layer_decay: learning rate of a layer as a share of that of the one above it, as in
                BEiT (Bao et al., 2021).
            lora_rank: of adapters, which are trained instead of the checkpoint's weights.

        Raises:
            UserError: there is no such backbone, or adapters are asked for without peft or in a
                frozen one.
        """
        if freeze and lora_rank:
            raise UserError(
                f"conf/train.yaml: model.hf.freeze=true and model.hf.lora_rank={lora_rank}; "
                "adapters are there to learn, so set one of the two only"
            )
        found = read_checkpoint(name)
        network = cls(
            found.backbone,
            model_type=found.model_type,
            config=found.config,
            pixels=found.pixels,
            dropout=dropout,
            lora_rank=lora_rank,
        )
        network.layer_decay, network._frozen = layer_decay, freeze
        if freeze or lora_rank:
            for key, parameter in network.backbone.named_parameters():
                is_fresh = key.replace(".base_layer.", ".") in found.absent
                parameter.requires_grad_(is_fresh or ".lora_" in key)
        return network.train()

    @classmethod
    def from_architecture(
        cls,
        *,
        model_type: str,
        config: dict[str, Any],
        pixels: dict[str, Any],
        dropout: float,
        lora_rank: int,
    ) -> HfNet:
        """Return what `architecture` describes, without weights; needs neither the folder nor the
        hub.

        Raises:
            UserError: transformers or peft is missing.
            KeyError, TypeError, ValueError: there is no such backbone.
        """
        return cls(
            fresh_backbone(model_type, config),
            model_type=model_type,
            config=config,
            pixels=Pixels.of_json(pixels),
            dropout=dropout,
            lora_rank=lora_rank,
        )

    def architecture(self) -> dict[str, Any]:
        """JSON values that the same network is rebuilt from, weights apart."""
        return {
            "name": "hf",
            "model_type": self.model_type,
            "config": self.config,
            "pixels": asdict(self.pixels),
            "dropout": self.dropout.p,
            "lora_rank": self.lora_rank,
        }

    def embed(self, clips: Tensor) -> Tensor:
        """Clips to features, (B, D): what the backbone's own classifier would see."""
        inputs = {str(self.backbone.main_input_name): self.pixels(clips)}
        features: Tensor = self.backbone(**inputs).logits
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, 4)."""
        return self.head(self.dropout(features))

    def train(self, mode: bool = True) -> HfNet:
        """Switch dropout on or off, but for that of a frozen backbone, which stays off."""
        super().train(mode)
        if self._frozen:
            self.backbone.eval()
        return self

    def parameter_groups(self) -> list[ParameterGroup]:
        """All that can be trained, each once; the deeper a layer lies, the slower it learns."""
        depths = dict(self._depths())
        top = max(depths.values(), default=0)
        groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                depth = depths.get(name, top)
                groups.setdefault((depth, parameter.ndim > 1), []).append(parameter)
        return [
            ParameterGroup(groups[depth, decays], self.layer_decay ** (top - depth), decays)
            for depth, decays in sorted(groups)
        ]

    def _depths(self) -> Iterator[tuple[str, int]]:
        """0 before the layers, then 1 for the first of them, and one more than the last beyond."""
        trunk, num_layers = self._trunk()
        is_before = True
        for name, _ in self.backbone.named_parameters(prefix="backbone"):
            is_inside = name.startswith(f"{trunk}.")
            is_before = is_before and not is_inside
            layer = int(name[len(trunk) + 1 :].split(".")[0]) if is_inside else num_layers
            yield name, 0 if is_before else layer + 1

    def _trunk(self) -> tuple[str, int]:
        """Name and number of the layers, which are the longest list in a backbone."""
        lists = [
            (name, len(module))
            for name, module in self.backbone.named_modules(prefix="backbone")
            if isinstance(module, nn.ModuleList)
        ]
        return max(lists, key=lambda one: one[1])

    def _adapt(self, rank: int) -> None:
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError as error:
            raise UserError(
                f"adapters of rank {rank} need peft, which is not installed; run pip install "
                "'.[hf]' in the clone of Discern, or set model.hf.lora_rank=0"
            ) from error
        trunk = self._trunk()[0].removeprefix("backbone.")
        linear = [
            name
            for name, module in self.backbone.named_modules()
            if isinstance(module, nn.Linear) and name.startswith(f"{trunk}.")
        ]
        inject_adapter_in_model(
            LoraConfig(r=rank, lora_alpha=ALPHA * rank, target_modules=linear), self.backbone
        )


def _build(model: ModelConfig, clip: ClipFormat) -> HfNet:
    return HfNet.from_checkpoint(
        _named(model.name),
        dropout=model.dropout,
        freeze=model.hf.freeze,
        layer_decay=model.hf.layer_decay,
        lora_rank=model.hf.lora_rank,
    )


def _rebuild(values: Mapping[str, Any], rebuilding: Rebuilding) -> HfNet:
    return HfNet.from_architecture(**values)


def _outside_hashes(name: str) -> dict[str, str]:
    """Hashes by path inside the folder of a backbone, or the commit of a hub id that was read.

    Whether or not the name gives a revision; empty for a hub id before it was ever read.
    """
    commit = commit_of(_named(name))
    if commit is not None:
        return {name: commit}
    folder = Path(_named(name))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): workdir.file_sha256(path) for path in files}


def _named(name: str) -> str:
    """The folder or hub id in a `model.name`."""
    return name.partition(":")[2]


FACTORY = NetworkFactory(
    build=_build,
    rebuild=_rebuild,
    argument="<folder or hub id>",
    outside_hashes=_outside_hashes,
)
