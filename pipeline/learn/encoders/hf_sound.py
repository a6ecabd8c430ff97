"""Makes the input of an encoder of transformers of sound, by its own feature extractor."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.learn import hub


class Preparation:
    """Stretches of sound to log-mel pictures or to normalised samples, float32, on the CPU.

    Args:
        extractor: class of transformers that does it.
        values: what it is made of, as a `preprocessor_config.json` has them; what is no plain
            value, or no argument of the class, is left aside.

    Raises:
        TypeError, ValueError: values that describe no such extractor.
    """

    def __init__(self, extractor: str, values: Mapping[str, Any]) -> None:
        import transformers

        kind = getattr(transformers, extractor)
        known = inspect.signature(kind.__init__).parameters
        self.values = {
            key: value
            for key, value in values.items()
            if key in known and isinstance(value, bool | int | float | str)
        }
        self.extract = kind(**self.values)
        self.rate_hz = float(self.extract.sampling_rate)

    def __call__(self, taken: Tensor) -> Tensor:
        """(N, S) in [-1, 1] to what the model takes; sound beyond its longest is cut away.

        Raises:
            UserError: a graph is made of it, which it cannot be part of.
        """
        if torch.compiler.is_compiling():
            raise UserError(
                f"transformers' {type(self.extract).__name__} prepares its sound, and cannot be "
                "part of a graph; take sound.name: yamnet or none in conf/embed.yaml"
            )
        longest = getattr(self.extract, "nb_max_samples", None)
        stretches = taken.detach().float().cpu().numpy()
        # Whisper's would otherwise compute with what autocast asks for.
        with torch.autocast("cpu", enabled=False):
            found = self.extract(
                # CLAP would cut at a place drawn by lot.
                [np.ascontiguousarray(one[:longest]) for one in stretches],
                sampling_rate=int(self.rate_hz),
                return_tensors="pt",
            )
        (name,) = (n for n in ("input_values", "input_features") if n in found)
        return torch.as_tensor(found[name], dtype=torch.float32)


def read_sound(asked: str, name: str, extractor: str) -> Preparation:
    """How a checkpoint of sound prepares its input.

    Args:
        asked: the file, key and value that named it, for messages.
        name: of the checkpoint, a folder or a hub id.
        extractor: class of transformers that prepares its input.

    Raises:
        UserError: it does not say.
    """
    try:
        values = hub.read_preprocessor(name, "feature_extractor")
        if "sampling_rate" not in values:
            raise ValueError("no sampling_rate")
        return Preparation(extractor, values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{asked}: {hub.PREPROCESSORS[-1]}: {hub.first_line(error)}; it must say what "
            f"transformers' {extractor} takes, which the encoder was trained with"
        ) from error


def covered_tokens(
    tokens: Tensor, num_samples: int, model_type: str, config: Any, extract: Any
) -> Tensor:
    """Tokens (N, L, C) of times that the sound covered; some models pad it to a fixed length.

    Args:
        tokens: without any prefix, or (N, C, ...) as a picture of them.
        num_samples: of the sound.
        extract: the feature extractor.
    """
    if model_type == "whisper":
        # Two frames of its log-mel picture are a token.
        return tokens[:, : max(1, -(-num_samples // (2 * extract.hop_length)))]
    if model_type == "audio-spectrogram-transformer":
        # Windows of 25 ms every 10 ms.
        rate = extract.sampling_rate
        num_frames = 1 + max(0, num_samples - rate // 40) // (rate // 100)
        num_bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
        num_times = max(1, -(-num_frames // config.time_stride))
        return tokens.unflatten(1, (num_bands, -1))[:, :, :num_times].flatten(1, 2)
    return tokens
