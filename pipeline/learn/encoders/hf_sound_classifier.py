"""Frozen classifiers of sound of Hugging Face transformers that know firearms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import UserError
from pipeline.learn import hub
from pipeline.learn.encoders.base import SoundEncoder
from pipeline.learn.encoders.hf_base import HfBase
from pipeline.learn.encoders.hf_kinds import KINDS
from pipeline.learn.encoders.hf_sound import Preparation, read_sound
from pipeline.learn.encoders.yamnet import FIREARMS, LABELS

NAMES = LABELS[FIREARMS]
"""What AudioSet calls the classes of firearms."""
_KNOWN = {name.casefold() for name in NAMES}


class HfSoundClassifier(HfBase, SoundEncoder):
    """The logits of all classes of a classifier, of which some are of firearms.

    A sound is prepared by the checkpoint's own feature extractor, and heard as it is: unlike
    YAMNet, which is asked again of the sound as loud as it goes.

    Args:
        model: of transformers, for audio classification.
        model_type, config: what it was made of.
        labels: the names of its classes, in the order of the logits.
        sound: how sound becomes its input.
        provenance: as `Encoder.provenance` gives it.

    Raises:
        ValueError: no class is called as AudioSet calls one of firearms.
    """

    NAME = "hf_ear"

    def __init__(
        self,
        model: nn.Module,
        *,
        model_type: str,
        config: Mapping[str, Any],
        labels: Sequence[str],
        sound: Preparation,
        provenance: Mapping[str, str],
    ) -> None:
        super().__init__(model, model_type, config, provenance)
        self.labels, self.sound = list(labels), sound
        self._firearms = [n for n, one in enumerate(self.labels) if one.casefold() in _KNOWN]
        if not self._firearms:
            raise ValueError(f"none of its {len(self.labels)} classes is of firearms")
        self.num_features, self.rate_hz = len(self.labels), sound.rate_hz

    @classmethod
    def from_checkpoint(cls, name: str) -> HfSoundClassifier:
        """With the trained weights in a folder or of a hub id, rounded to half precision.

        Detectors keep them so, and what is embedded for training has to be what they hear. Warns
        of a hub id without a revision, because what it stands for changes with time.

        Args:
            name: a folder, or a hub id, with `@revision` or without.

        Raises:
            UserError: transformers is missing, there is no such folder or model, it is no
                classifier of sound, none of its classes is of firearms, it needs code of its own,
                its weights are missing, damaged or no safetensors, or it does not say how its
                input is prepared.
        """
        asked = f"conf/embed.yaml: sound.name=hf:{name}"
        stated = hub.read_config(asked, name)
        model_type = stated.model_type
        if model_type not in _classifiers():
            raise UserError(
                f"{asked}: '{model_type}' is no classifier of sounds that is known here; give one "
                f"of {', '.join(_classifiers())}"
            )
        labels = [str(label) for _, label in sorted(stated.id2label.items())]
        if not any(label.casefold() in _KNOWN for label in labels):
            raise UserError(
                f"{asked}: id2label of config.json has {len(labels)} classes, such as "
                f"'{labels[0]}', and none of firearms: nothing here is fitted to an encoder's "
                "features of sound, so it must be a classifier that knows one of "
                f"{'; '.join(NAMES)}, as those trained on AudioSet do"
            )
        sound = read_sound(asked, name, KINDS[model_type].extractor)
        model = _read_model(asked, name, stated, len(labels))
        hub.warn_unpinned(asked, name)
        return cls(
            model,
            model_type=model_type,
            config=hub.own_values(stated),
            labels=labels,
            sound=sound,
            provenance=hub.provenance_of(name),
        )

    @classmethod
    def from_architecture(
        cls,
        *,
        model_type: str,
        config: Mapping[str, Any],
        labels: Sequence[str],
        sound: Mapping[str, Any],
        provenance: Mapping[str, str],
    ) -> HfSoundClassifier:
        """Return what `architecture` describes, without weights; needs neither the folder nor the
        hub.

        Raises:
            UserError: transformers is missing.
            KeyError, TypeError, ValueError: there is no such encoder.
        """
        hub.need_transformers("weights of an encoder of transformers")
        import transformers

        if model_type not in _classifiers():
            raise ValueError(f"'{model_type}' is no classifier of sounds")
        made_of = hub.config_of(transformers.CONFIG_MAPPING[model_type], config)
        made_of.num_labels = len(labels)
        return cls(
            transformers.AutoModelForAudioClassification.from_config(
                made_of, trust_remote_code=False
            ),
            model_type=model_type,
            config=config,
            labels=labels,
            sound=Preparation(KINDS[model_type].extractor, sound),
            provenance=provenance,
        )

    def inputs(self) -> dict[str, Any]:
        """JSON values of its classes, and of how sound becomes its input."""
        return {"labels": self.labels, "sound": self.sound.values}

    @torch.no_grad()
    def forward(self, taken: Tensor) -> Tensor:
        """Stretches (N, S) in [-1, 1] at `rate_hz` to the logits of all classes, (N, F)."""
        weight = next(self.model.parameters())
        inputs = self.sound(taken).to(weight.device, weight.dtype)
        logits: Tensor = self.model(**{self.model.main_input_name: inputs}).logits
        return logits.float()

    def firearms(self, features: Tensor) -> Tensor:
        """Logits (..., F) to the largest of any class of firearms, (...)."""
        return features[..., self._firearms].amax(-1)


def _classifiers() -> list[str]:
    """The kinds of sound that transformers classifies and that can be prepared here."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES as NAMED,
    )

    return [name for name, kind in KINDS.items() if kind.modality == "sound" and name in NAMED]


def _read_model(asked: str, name: str, stated: Any, num_labels: int) -> nn.Module:
    """A whole classifier, its weights rounded to half precision."""
    import transformers

    config = hub.config_of(type(stated), hub.own_values(stated))
    config.num_labels = num_labels
    model, absent = hub.read_weights(
        asked, name, transformers.AutoModelForAudioClassification, config
    )
    if absent:
        raise UserError(
            f"{asked}: {len(absent)} weights of the classifier are missing, such as "
            f"{min(absent)}; give a checkpoint of a whole one"
        )
    hub.load_rounded(asked, model, model.state_dict())
    return model
