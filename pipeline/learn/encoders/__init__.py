"""The frozen pretrained networks that `conf/embed.yaml` chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.config import EncoderConfig, PicturesConfig
from pipeline.errors import UserError
from pipeline.learn.encoders import clip, yamnet
from pipeline.learn.encoders.base import Encoder, Joined, SoundEncoder

NONE = "none"
"""The name that asks for no encoder."""
HF = "hf:"
"""What the name of an encoder of transformers begins with; imported only when asked for."""


def settings_of(values: Mapping[str, Any]) -> PicturesConfig:
    """The settings whose `dataclasses.asdict` was written down as JSON.

    Raises:
        TypeError, KeyError: other values than those of these settings.
    """
    return PicturesConfig(**{**values, "more": [EncoderConfig(**one) for one in values["more"]]})


def build(pictures: PicturesConfig) -> Encoder:
    """The encoder that `conf/embed.yaml` describes, with its published weights.

    Raises:
        UserError: an unknown name, weights that are not here, or settings that do not fit.
    """
    encoders = [_build("pictures", pictures)]
    encoders += [_build(f"pictures.more[{n}]", one) for n, one in enumerate(pictures.more)]
    return encoders[0] if len(encoders) == 1 else Joined(encoders)


def _build(key: str, one: EncoderConfig) -> Encoder:
    if one.name == clip.NAME:
        return clip.Clip.published(size=one.size)
    if one.name == yamnet.NAME:
        return yamnet.Yamnet.published()
    if one.name.startswith(HF):
        from pipeline.learn.encoders.hf import HfEncoder

        return HfEncoder.from_checkpoint(one.name.removeprefix(HF), size=one.size)
    raise UserError(
        f"conf/embed.yaml: {key}.name={one.name} is no encoder; take {clip.NAME}, {HF}<folder "
        f"or hub id>, {yamnet.NAME} for sound, or for no encoder at all "
        f"pictures.name={NONE} and pictures.more=[]"
    )


def build_sound(name: str) -> SoundEncoder:
    """The encoder of sound of a name, with its published weights.

    Raises:
        UserError: an unknown name, weights that are not here, or an encoder that knows no firearms.
    """
    if name == yamnet.NAME:
        return yamnet.Yamnet.published()
    if name.startswith(HF):
        from pipeline.learn.encoders.hf_sound_classifier import HfSoundClassifier

        return HfSoundClassifier.from_checkpoint(name.removeprefix(HF))
    raise UserError(
        f"conf/embed.yaml: sound.name={name} is no encoder that knows gunshots; take "
        f"{yamnet.NAME}, {HF}<folder or hub id> of a classifier of sounds, or {NONE}"
    )


def rebuild(architecture: Mapping[str, Any]) -> Encoder:
    """The encoder of `Encoder.architecture()`, with fresh weights.

    Raises:
        UserError: no such encoder exists.
        KeyError, TypeError, ValueError: values that fit no encoder.
    """
    values = {key: value for key, value in architecture.items() if key != "name"}
    match architecture["name"]:
        case clip.NAME:
            return clip.Clip(**values)
        case yamnet.NAME:
            return yamnet.Yamnet(**values)
        case "hf":
            from pipeline.learn.encoders.hf import HfEncoder

            return HfEncoder.from_architecture(**values)
        case "hf_ear":
            from pipeline.learn.encoders.hf_sound_classifier import HfSoundClassifier

            return HfSoundClassifier.from_architecture(**values)
        case Joined.NAME:
            return Joined([rebuild(part) for part in values["parts"]])
        case name:
            raise UserError(f"encoder '{name}' is unknown; run discern train again")
