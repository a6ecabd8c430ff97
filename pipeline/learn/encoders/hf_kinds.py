"""The kinds of encoder of Hugging Face transformers, and what each does with its input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from pipeline.learn.encoders.base import Modality
from pipeline.learn.hub import config_of


@dataclass(frozen=True)
class HfModelType:
    """Holds what is particular to the models of one `model_type`."""

    modality: Modality
    first: Literal["token", "pooled"] | None = None
    """What stands before the mean in the features: the first token, or `pooler_output`."""
    num_prefix: int = 0
    """Tokens before those of patches or times, registers not counted."""
    any_size: bool = False
    """Whether frames of other sizes are taken without a word."""
    whole: tuple[str, str] | None = None
    """Class of transformers that loads the checkpoint, and its attribute that encodes."""
    extractor: str = ""
    """Class of transformers that prepares sound."""


_TOKEN = HfModelType("picture", "token", 1)
_POOLED = HfModelType("picture", "pooled")
_CONVOLUTIONS = HfModelType("picture", "pooled", any_size=True)
_WAVES = HfModelType("sound", extractor="Wav2Vec2FeatureExtractor")

KINDS: Mapping[str, HfModelType] = {
    "beit": _TOKEN,
    # Its class token is normalised only where it is pooled.
    "clip_vision_model": HfModelType("picture", "pooled", 1),
    "convnext": _CONVOLUTIONS,
    "convnextv2": _CONVOLUTIONS,
    "data2vec-vision": _TOKEN,
    "deit": HfModelType("picture", "token", 2),
    "dinov2": HfModelType("picture", "token", 1, any_size=True),
    "dinov2_with_registers": HfModelType("picture", "token", 1, any_size=True),
    "dinov3_convnext": HfModelType("picture", "token", 1, any_size=True),
    "dinov3_vit": HfModelType("picture", "token", 1, any_size=True),
    "ijepa": HfModelType("picture"),
    "resnet": HfModelType("picture", any_size=True),
    "siglip_vision_model": _POOLED,
    "swin": _POOLED,
    "swinv2": _POOLED,
    "vit": _TOKEN,
    "vit_msn": _TOKEN,
    "timesformer": HfModelType("video", "token", 1),
    "videomae": HfModelType("video"),
    "vivit": HfModelType("video", "token", 1),
    "vjepa2": HfModelType("video", any_size=True),
    "audio-spectrogram-transformer": HfModelType(
        "sound", "token", 2, extractor="ASTFeatureExtractor"
    ),
    "clap_audio_model": HfModelType(
        "sound", whole=("ClapModel", "audio_model"), extractor="ClapFeatureExtractor"
    ),
    "data2vec-audio": _WAVES,
    "hubert": _WAVES,
    "unispeech": _WAVES,
    "unispeech-sat": _WAVES,
    "wav2vec2": _WAVES,
    "wav2vec2-conformer": _WAVES,
    "wavlm": _WAVES,
    "whisper": HfModelType(
        "sound", whole=("WhisperModel", "encoder"), extractor="WhisperFeatureExtractor"
    ),
}
"""By `model_type` of transformers."""


def tower_of(config: Any) -> Any:
    """The part of a config that is about an encoder: of two towers, that which sees or hears."""
    for name in ("vision_config", "audio_config"):
        tower = getattr(config, name, None)
        if getattr(tower, "model_type", None) in KINDS:
            return tower
    return config


def fresh_model(model_type: str, config: Mapping[str, Any]) -> nn.Module:
    """A model with fresh weights, of what `hub.own_values` gave.

    Raises:
        KeyError, TypeError, ValueError: there is no such model.
    """
    import transformers

    made_of = config_of(transformers.CONFIG_MAPPING[model_type], config)
    if model_type == "whisper":
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        return WhisperEncoder(made_of)
    if model_type == "clap_audio_model":
        return transformers.ClapAudioModel(made_of)
    return transformers.AutoModel.from_config(made_of, trust_remote_code=False)


def without_unused(model: Any, kind: HfModelType) -> Any:
    """The model without parts whose output nobody asks for, many of which were never trained."""
    if hasattr(model, "predictor"):
        # V-JEPA 2 guesses hidden patches with it.
        model.predictor = nn.Identity()
    pooler = getattr(model, "pooler", None)
    if kind.first != "pooled" and pooler is not None and list(pooler.parameters()):
        model.pooler = None
    return model
