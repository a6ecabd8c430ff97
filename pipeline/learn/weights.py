"""The trained network at rest: `model.safetensors` and `model.json`, loaded without pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config import ClipFormat
from pipeline.errors import UserError
from pipeline.learn.network import MEAN, NAME, STD, Architecture, CausalNet
from pipeline.manifest import CLASSES

WEIGHTS = "model.safetensors"
CARD = "model.json"


class Detector:
    """Trained weights, ready to score clips."""

    def __init__(self, network: CausalNet, card: dict[str, Any], device: str) -> None:
        self.network = network.eval().to(device)
        self.card = card
        """What `model.json` holds."""
        self._device = device

    @property
    def sha256(self) -> str:
        """Hash of `model.safetensors`."""
        return str(self.card["weights_sha256"])

    def predict(self, clips: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Calibrated probabilities of clips.

        Args:
            clips: uint8 (B, T, H, W, 3) RGB, of the shape that the weights were trained on.

        Returns:
            float64 (B, 4) in the order of `CLASSES`; each row sums to 1.

        Raises:
            UserError: the clips are of another shape.
        """
        form = self.card["preprocessing"]
        expected = (form["num_frames"], form["size"], form["size"], 3)
        if clips.dtype != np.uint8 or clips.shape[1:] != expected:
            raise UserError(
                f"clips are {clips.dtype} {clips.shape[1:]} but the weights take uint8 "
                f"{expected}; pack the clips in the format that the weights were trained on"
            )
        with torch.inference_mode():
            frames = torch.from_numpy(np.ascontiguousarray(clips)).to(self._device)
            logits = self.network(frames)[:, -1].cpu().double()
        probabilities: NDArray[np.float64] = (logits / self.card["temperature"]).softmax(1).numpy()
        return probabilities


def save(
    folder: Path,
    weights: Mapping[str, Tensor],
    architecture: Architecture,
    *,
    clip: ClipFormat,
    temperature: float,
    provenance: Mapping[str, Any],
) -> None:
    """Write `model.safetensors` and `model.json` into `folder`.

    Args:
        clip: format of the clips that the weights take.
        temperature: what logits are divided by before they become probabilities.
        provenance: what the weights came from and how good they are, as JSON values.
    """
    data = safetensors.torch.save({name: value.contiguous() for name, value in weights.items()})
    card = {
        "architecture": {"name": NAME, **asdict(architecture)},
        "classes": CLASSES,
        "preprocessing": {**asdict(clip), "colour": "RGB", "mean": MEAN, "std": STD},
        "temperature": temperature,
        "weights_sha256": hashlib.sha256(data).hexdigest(),
        **provenance,
    }
    (folder / WEIGHTS).write_bytes(data)
    (folder / CARD).write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")


def load(folder: Path, device: str = "cpu") -> Detector:
    """Load what `save` wrote; nothing in the files is executed.

    Raises:
        UserError: a file is missing or damaged, the two do not belong together, or the weights
            are of another architecture, class set, class order or tensor shape.
    """
    card = _read_card(folder / CARD)
    path = folder / WEIGHTS
    if not path.is_file():
        raise UserError(f"{path}: missing; run train.py or dvc pull")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != card["weights_sha256"]:
        raise UserError(
            f"{path}: not the weights that {CARD} beside it describes; "
            "run dvc checkout, or train.py again"
        )
    try:
        network = CausalNet(_architecture(card["architecture"]))
        network.load_state_dict(safetensors.torch.load(data))
    except (
        safetensors.SafetensorError,
        RuntimeError,
        KeyError,
        TypeError,
        AssertionError,
    ) as error:
        raise UserError(
            f"{path}: does not fit the architecture in {CARD} ({error}); run train.py again"
        ) from error
    return Detector(network, card, device)


def _read_card(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: missing; run train.py or dvc pull")
    try:
        card = json.loads(path.read_text())
        name, classes = card["architecture"]["name"], tuple(card["classes"])
        absent = {"weights_sha256", "temperature", "preprocessing"} - card.keys()
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a model card ({error!r}); run train.py again") from error
    if absent:
        raise UserError(f"{path}: lacks {', '.join(sorted(absent))}; run train.py again")
    unknown = {f.name for f in fields(ClipFormat)} - card["preprocessing"].keys()
    if unknown:
        raise UserError(
            f"{path}: preprocessing lacks {', '.join(sorted(unknown))}; run train.py again"
        )
    if name != NAME:
        raise UserError(f"{path}: architecture '{name}' instead of '{NAME}'; run train.py again")
    if classes != CLASSES:
        raise UserError(
            f"{path}: weights of the classes {', '.join(classes)} instead of "
            f"{', '.join(CLASSES)}, in this order; run train.py again"
        )
    return dict(card)


def _architecture(values: Mapping[str, Any]) -> Architecture:
    return Architecture(
        widths=tuple(values["widths"]),
        dilations=tuple(values["dilations"]),
        dropout=values["dropout"],
        num_classes=len(CLASSES),
    )
