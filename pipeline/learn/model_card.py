"""The card of trained weights, `model.json`: what they are, came from and were made by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.config import ClipFormat
from pipeline.errors import UserError
from pipeline.learn.memory import Memory
from pipeline.store.manifest import CLASSES
from pipeline.store.output_files import CARD as CARD

_NEEDED = ("weights_sha256", "temperature", "preprocessing")


@dataclass(frozen=True)
class ModelCard:
    """Holds what `model.json` says, checked once when it is read."""

    architecture: Mapping[str, Any]
    """The network's `architecture()`, which it is built from again."""
    clip: ClipFormat
    """The format of the clips that the weights take."""
    temperature: float
    """What logits are divided by before they become probabilities."""
    weights_sha256: str
    encoder_sha256: str | None
    """Hash of `encoder.safetensors`; None where the network has no frozen encoder."""
    everything: Mapping[str, Any]
    """The whole of `model.json`, with the keys that nothing here knows."""
    memory: Memory | None = None
    """How the evidence of a stream is summed up; None where only its last second counts."""

    @classmethod
    def parse(cls, given: Mapping[str, Any], where: Path) -> ModelCard:
        """Check JSON values and take them apart.

        Args:
            given: the values.
            where: the file that they come from, for messages.

        Raises:
            UserError: something is missing, of the wrong kind, or of other classes.
        """
        try:
            _, classes = given["architecture"]["name"], tuple(given["classes"])
            absent = set(_NEEDED) - given.keys()
            preprocessing = dict(given.get("preprocessing", {}))
            temperature = float(given.get("temperature", 1.0))
            memory = Memory.parse(given.get("memory"))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{where}: not a model card ({error!r}); run discern train again"
            ) from error
        if absent:
            raise UserError(f"{where}: lacks {', '.join(sorted(absent))}; run discern train again")
        wanted = {f.name for f in fields(ClipFormat)}
        if unknown := wanted - preprocessing.keys():
            raise UserError(
                f"{where}: preprocessing lacks {', '.join(sorted(unknown))}; "
                "run discern train again"
            )
        if classes != CLASSES:
            raise UserError(
                f"{where}: weights of the classes {', '.join(classes)} instead of "
                f"{', '.join(CLASSES)}, in this order; run discern train again"
            )
        encoder = given.get("encoder_sha256")
        return cls(
            architecture=given["architecture"],
            clip=ClipFormat(**{name: preprocessing[name] for name in wanted}),
            temperature=temperature,
            weights_sha256=str(given["weights_sha256"]),
            encoder_sha256=None if encoder is None else str(encoder),
            everything=dict(given),
            memory=memory,
        )

    @classmethod
    def read(cls, path: Path) -> ModelCard:
        """Read a `model.json`.

        Raises:
            UserError: it is missing, no JSON, or no card of such weights.
        """
        if not path.is_file():
            raise UserError(f"{path}: missing; run dvc repro train or dvc pull")
        try:
            given = json.loads(path.read_text())
        except ValueError as error:
            raise UserError(
                f"{path}: not a model card ({error!r}); run discern train again"
            ) from error
        return cls.parse(given, path)

    @property
    def name(self) -> str:
        """The network's name."""
        return str(self.architecture["name"])

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """Return what is done to footage before the weights see it."""
        return dict(self.everything["preprocessing"])

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration of the training; empty where the card has none."""
        return self.everything.get("config", {})

    @property
    def encoders(self) -> Sequence[Mapping[str, Any]]:
        """Names, licences and hashes of frozen encoders that were trained elsewhere."""
        return self.everything.get("encoders") or []

    @property
    def sound_encoders(self) -> Sequence[Mapping[str, Any]]:
        """Names, licences and hashes of frozen encoders of sound that were trained elsewhere."""
        return self.everything.get("sound_encoders") or []

    @property
    def samples_sha256(self) -> Mapping[str, str]:
        """Hashes of the packed samples of the training, by file; empty where the card has none."""
        return self.everything.get("data", {}).get("sha256", {})

    @property
    def footage(self) -> Sequence[Mapping[str, Any]]:
        """A row a group of footage that was learned from; empty where the card has none."""
        return self.everything.get("data", {}).get("footage", [])

    def text(self) -> str:
        """The bytes of `model.json`, with sorted keys."""
        return json.dumps(self.everything, indent=2, sort_keys=True) + "\n"
