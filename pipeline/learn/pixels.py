"""Prepares pixels as a pretrained network was trained to see them (`preprocessor_config.json`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_BICUBIC = 3
"""Pillow's number for it, which preprocessor files use."""


@dataclass(frozen=True)
class Pixels:
    """From clips to a backbone's input, in torch on whatever device the clips are.

    Clips are centre squares already, so they are resized straight to the input; none of their
    border is cut away as the usual crop would.
    """

    num_frames: int
    size: int
    bicubic: bool
    scale: float
    offset: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Pixels:
        """Return what `asdict` gave, through JSON.

        Raises:
            KeyError, TypeError, ValueError: it did not.
        """
        red, green, blue = map(float, values["mean"])
        spreads = map(float, values["std"])
        return cls(**{**values, "mean": (red, green, blue), "std": tuple(spreads)})

    @classmethod
    def of_preprocessor(cls, values: Mapping[str, Any], num_frames: int, size: int) -> Pixels:
        """The content of a `preprocessor_config.json`.

        Args:
            num_frames: what the backbone takes.
            size: pixels of a side that it takes; the file must agree.

        Raises:
            KeyError, TypeError, ValueError: it is no description of such frames.
        """
        asked = side_of(values, size)
        if asked != size:
            raise ValueError(f"frames of {asked} pixels for a backbone that takes {size}")
        normal = values.get("do_normalize", True)
        red, green, blue = map(float, values["image_mean"] if normal else (0, 0, 0))
        wide = tuple(map(float, values["image_std"] if normal else (1, 1, 1)))
        if len(wide) != 3 or min(wide) <= 0:
            raise ValueError(f"image_std {wide}")
        rescaled = values.get("do_rescale", True)
        return cls(
            num_frames=num_frames,
            size=size,
            bicubic=values.get("resample") == _BICUBIC,
            scale=float(values.get("rescale_factor", 1 / 255)) if rescaled else 1.0,
            # ViViT's own: pixels from -1 to 1.
            offset=1.0 if rescaled and values.get("offset", False) else 0.0,
            mean=(red, green, blue),
            std=(wide[0], wide[1], wide[2]),
        )

    def __call__(self, clips: Tensor) -> Tensor:
        """(B, T, H, W, 3) in [0, 255] to (B, num_frames, 3, size, size).

        Frames are left out or shown again at even distances where T is another number.
        """
        batch, given = clips.shape[:2]
        chosen = torch.linspace(0, given - 1, self.num_frames, device=clips.device).round().long()
        frames = clips[:, chosen].flatten(0, 1).movedim(-1, 1).float()
        if frames.shape[-2:] != (self.size, self.size):
            mode = "bicubic" if self.bicubic else "bilinear"
            # Antialiased, as Pillow and torchvision do; cubic curves swing beyond the range.
            frames = functional.interpolate(
                frames, (self.size, self.size), mode=mode, antialias=True
            ).clamp(0, 255)
        # By numbers and not by tensors of them, which the branch of an exported graph cannot make.
        channels = [
            (channel * self.scale - self.offset - mean) / std
            for channel, mean, std in zip(frames.unbind(1), self.mean, self.std, strict=True)
        ]
        frames = torch.stack(channels, dim=1)
        return frames.unflatten(0, (batch, self.num_frames))


def side_of(values: Mapping[str, Any], default: int) -> int:
    """Pixels of a side that a `preprocessor_config.json` prepares, or `default` if it says none.

    Raises:
        KeyError, TypeError, ValueError: it prepares frames that are no squares.
    """
    cropped = values.get("do_center_crop", False) and values.get("crop_size")
    return _side(values["crop_size"] if cropped else values.get("size", default))


def first_of(config: Mapping[str, Any], *names: str) -> int:
    """The first of `names` that a config has; of a pair of sides, the first.

    Raises:
        KeyError: it has none of them.
    """
    found = next((config[name] for name in names if name in config), None)
    if found is None:
        raise KeyError(names[0])
    return int(found[0] if isinstance(found, list | tuple) else found)


def _side(size: Any) -> int:
    if isinstance(size, Mapping):
        sides = {size["shortest_edge"]} if "shortest_edge" in size else set(size.values())
        if len(sides) != 1:
            raise ValueError(f"frames of {dict(size)}, which are no squares")
        (size,) = sides
    return int(size)
