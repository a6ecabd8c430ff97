"""What the encoders of Hugging Face transformers have in common."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from torch import nn

from pipeline.learn.encoders.base import Encoder


class HfBase(Encoder):
    """A frozen model of transformers, with what it was made of and where it comes from.

    Args:
        model: of transformers; its weights are frozen.
        model_type, config: what it was made of.
        provenance: as `Encoder.provenance` gives it.
    """

    NAME: ClassVar[str]
    """By which `encoders.rebuild` knows its kind."""

    def __init__(
        self,
        model: nn.Module,
        model_type: str,
        config: Mapping[str, Any],
        provenance: Mapping[str, str],
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.model_type, self.config = model_type, dict(config)
        self._provenance = dict(provenance)
        self.requires_grad_(False)
        self.eval()

    @abstractmethod
    def inputs(self) -> dict[str, Any]:
        """JSON values of what `architecture` says besides the model, such as how input is made."""

    def architecture(self) -> dict[str, Any]:
        """JSON values that `encoders.rebuild` makes the same encoder of, weights apart."""
        values = {
            "name": self.NAME,
            "model_type": self.model_type,
            "config": self.config,
            **self.inputs(),
            "provenance": self._provenance,
        }
        # Lists in place of tuples, as they are read back from a card.
        found: dict[str, Any] = json.loads(json.dumps(values))
        return found

    def provenance(self) -> list[dict[str, str]]:
        """Return where the weights of the model come from."""
        return [dict(self._provenance)]

    def train(self, mode: bool = True) -> Self:
        """Stay as it is for use: nothing of it is trained."""
        return super().train(False)
