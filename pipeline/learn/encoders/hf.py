"""Frozen encoders of Hugging Face transformers, for pictures, video and sound."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import UserError
from pipeline.learn import hub
from pipeline.learn.encoders.hf_base import HfBase
from pipeline.learn.encoders.hf_kinds import (
    KINDS,
    HfModelType,
    fresh_model,
    tower_of,
    without_unused,
)
from pipeline.learn.encoders.hf_sound import Preparation, covered_tokens, read_sound
from pipeline.learn.pixels import Pixels, first_of, side_of

# Learned stand-ins for what training hid; some checkpoints lack them, and nothing here shows them.
_HIDDEN = ("mask_token", "masked_spec_embed")


class HfEncoder(HfBase):
    """The first token or the pooled output of the last layer, joined with the mean of the others.

    Pictures give the class token, or `pooler_output` where there is none (SigLIP) or where only
    that is normalised (CLIP), and the mean of the tokens of patches; registers are left out.
    Video gives the mean token, and a class token before it (TimeSformer, ViViT). Sound gives the
    mean over the times that it lasts, and of AST a class token before it.

    Frames are resized straight to the input, as in `Pixels`: none of their border is cut away.

    Args:
        model: of transformers, as `hf_kinds.fresh_model` makes it.
        model_type, config: what it was made of.
        pixels: how frames become its input; None for sound.
        sound: how sound does; None for pictures and video.
        provenance: as `Encoder.provenance` gives it.
    """

    NAME = "hf"

    def __init__(
        self,
        model: nn.Module,
        *,
        model_type: str,
        config: Mapping[str, Any],
        pixels: Pixels | None,
        sound: Preparation | None,
        provenance: Mapping[str, str],
    ) -> None:
        assert (sound is None) != (pixels is None)
        kind = KINDS[model_type]
        super().__init__(without_unused(model, kind), model_type, config, provenance)
        self.modality = kind.modality
        self.pixels, self.sound = pixels, sound
        values = self.model.config
        self._first = kind.first
        if not getattr(values, "vision_use_head", True):
            self._first = None
        self._num_prefix = kind.num_prefix
        if kind.num_prefix:
            self._num_prefix += int(getattr(values, "num_register_tokens", 0))
        self.num_features = _width(values) * (1 if self._first is None else 2)
        if pixels is not None and kind.modality == "video":
            self.num_frames = pixels.num_frames
        if sound is not None:
            self.rate_hz = sound.rate_hz
        self._more: dict[str, Any] = {}
        if model_type == "vjepa2":
            self._more["skip_predictor"] = True
        if pixels is not None and kind.modality == "picture" and _interpolates(model):
            self._more["interpolate_pos_encoding"] = pixels.size != _own_side(self.config)

    @classmethod
    def from_checkpoint(cls, name: str, *, size: int | None = None) -> HfEncoder:
        """With the trained weights in a folder or of a hub id, rounded to half precision.

        Detectors keep them so, and what is embedded for training has to be what they see. Warns
        of a hub id without a revision, because what it stands for changes with time.

        Args:
            name: a folder, or a hub id, with `@revision` or without.
            size: pixels of the side that it sees, instead of those of its own preprocessor;
                nothing to an encoder of sound.

        Raises:
            UserError: transformers is missing, there is no such folder or model, it is no encoder
                of pictures, video or sound, it needs code of its own, its weights are missing,
                damaged or no safetensors, it does not say how its input is prepared, or it takes
                no frames of that size.
        """
        asked = f"conf/embed.yaml: name=hf:{name}"
        stated = hub.read_config(asked, name)
        found = tower_of(stated)
        model_type, config = found.model_type, hub.own_values(found)
        kind = KINDS.get(model_type)
        if kind is None:
            raise UserError(
                f"{asked}: '{model_type}' is no encoder of pictures, video or sound that is known "
                f"here; give one of {', '.join(KINDS)}"
            )
        pixels = sound = None
        if kind.modality == "sound":
            sound = read_sound(asked, name, kind.extractor)
        else:
            pixels = _read_pixels(asked, name, kind, config, size)
            if model_type == "vjepa2":
                # Its places of patches are counted in rows of this.
                found.crop_size = config["crop_size"] = pixels.size
        whole = found if kind.whole is None else stated
        model = _read_model(asked, name, kind, hub.config_of(type(whole), _plain(whole)))
        # What ViViT interpolates does not fit.
        any_size = kind.any_size or (kind.modality == "picture" and _interpolates(model))
        if pixels is not None and not any_size:
            _refuse_other_side(pixels.size, _own_side(config), asked)
        hub.warn_unpinned(asked, name)
        return cls(
            model,
            model_type=model_type,
            config=config,
            pixels=pixels,
            sound=sound,
            provenance=hub.provenance_of(name),
        )

    @classmethod
    def from_architecture(
        cls,
        *,
        model_type: str,
        config: Mapping[str, Any],
        pixels: Mapping[str, Any] | None,
        sound: Mapping[str, Any] | None,
        provenance: Mapping[str, str],
    ) -> HfEncoder:
        """Return what `architecture` describes, without weights; needs neither the folder nor the
        hub.

        Raises:
            UserError: transformers is missing.
            KeyError, TypeError, ValueError: there is no such encoder.
        """
        hub.need_transformers("weights of an encoder of transformers")
        if model_type not in KINDS:
            raise ValueError(f"'{model_type}' is no encoder of pictures, video or sound")
        kind = KINDS[model_type]
        if (kind.modality == "sound") != (pixels is None):
            raise ValueError(f"'{model_type}' is an encoder of {kind.modality}")
        return cls(
            fresh_model(model_type, config),
            model_type=model_type,
            config=config,
            pixels=None if pixels is None else Pixels.of_json(pixels),
            sound=None if sound is None else Preparation(kind.extractor, sound),
            provenance=provenance,
        )

    def inputs(self) -> dict[str, Any]:
        """JSON values of how pictures become its input, or sound; the other is None."""
        return {
            "pixels": None if self.pixels is None else asdict(self.pixels),
            "sound": None if self.sound is None else self.sound.values,
        }

    @torch.no_grad()
    def forward(self, taken: Tensor) -> Tensor:
        """Return what the modality takes to features, float32 (N, F)."""
        weight = next(self.model.parameters())
        inputs = self._prepared(taken).to(weight.device, weight.dtype)
        more = dict(self._more)
        if getattr(self.model.config, "enable_fusion", False):
            # Of CLAP, which hears no more here than fits.
            more["is_longer"] = torch.zeros(len(inputs), 1, dtype=torch.bool, device=inputs.device)
        found = self.model(**{self.model.main_input_name: inputs}, **more)
        tokens = found.last_hidden_state.float()
        if tokens.ndim > 3:
            tokens = tokens.flatten(2).transpose(1, 2)
        others = tokens[:, self._num_prefix :]
        if self.sound is not None:
            others = covered_tokens(
                others, taken.shape[1], self.model_type, self.model.config, self.sound.extract
            )
        mean = others.mean(1)
        if self._first is None:
            return mean
        first = tokens[:, 0] if self._first == "token" else found.pooler_output.float().flatten(1)
        return torch.cat([first, mean], dim=1)

    def _prepared(self, taken: Tensor) -> Tensor:
        if self.sound is not None:
            return self.sound(taken)
        assert self.pixels is not None
        if self.modality == "video":
            return self.pixels(taken)
        return self.pixels(taken[:, None])[:, 0]


def _width(config: Any) -> int:
    widths = getattr(config, "hidden_sizes", None)
    return int(widths[-1] if widths else config.hidden_size)


def _interpolates(model: nn.Module) -> bool:
    return "interpolate_pos_encoding" in inspect.signature(model.forward).parameters


def _own_side(config: Mapping[str, Any]) -> int | None:
    names = ("image_size", "crop_size")
    return first_of(config, *names) if any(name in config for name in names) else None


def _refuse_other_side(size: int, own: int | None, asked: str) -> None:
    if own is not None and size != own:
        raise UserError(
            f"{asked}: size={size}: it takes frames of {own} pixels only; set size={own}"
        )


def _read_pixels(
    asked: str, name: str, kind: HfModelType, config: Mapping[str, Any], size: int | None
) -> Pixels:
    own = _own_side(config)
    try:
        values = hub.read_preprocessor(name, "image_processor", "video_processor")
        stated = side_of(values, own or 224)
        pixels = Pixels.of_preprocessor(
            values,
            num_frames=first_of(config, "num_frames", "frames_per_clip")
            if kind.modality == "video"
            else 1,
            size=stated,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{asked}: {hub.PREPROCESSORS[-1]}: {hub.first_line(error)}; it must say image_mean, "
            "image_std and size, which the encoder was trained with"
        ) from error
    if size is None:
        return pixels
    patch = first_of(config, "patch_size") if config.get("patch_size") else 1
    if size < patch or size % patch:
        raise UserError(
            f"{asked}: size={size}: it sees patches of {patch} pixels; take a multiple "
            f"of {patch}, such as {max(1, round(size / patch)) * patch}"
        )
    return replace(pixels, size=size)


def _plain(config: Any) -> dict[str, Any]:
    """`hub.own_values` of a config and of the configs in it."""
    parts = {
        name: getattr(config, name)
        for name in ("text_config", "audio_config")
        if hasattr(config, name)
    }
    return hub.own_values(config) | {name: hub.own_values(part) for name, part in parts.items()}


def _read_model(asked: str, name: str, kind: HfModelType, config: Any) -> nn.Module:
    """The part of a checkpoint that encodes, its weights rounded to half precision."""
    import transformers

    if kind.whole is None:
        model, absent = hub.read_weights(asked, name, transformers.AutoModel, config)
        part = ""
    else:
        loader, attribute = kind.whole
        whole, absent = hub.read_weights(asked, name, getattr(transformers, loader), config)
        model, part = getattr(whole, attribute), f"{attribute}."
    model = without_unused(model, kind)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    lacking = [key for key in state if part + key in absent]
    for key in lacking:
        if not key.endswith(_HIDDEN):
            raise UserError(
                f"{asked}: {len(lacking)} weights of the encoder are missing, such as {key}; "
                "give a checkpoint of a whole encoder"
            )
        state[key].zero_()
    hub.load_rounded(asked, model, state)
    return model
