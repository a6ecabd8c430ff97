"""Alter batches of clips where they are, on CPU or GPU, each by chance of its own.

What is drawn for a clip follows from the seed, its epoch and its position in the epoch alone, so
that workers, ranks, batches and the device have no say. Nothing here makes a GPU wait.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.config import AlterConfig, TrainConfig

# Clips at a time: few stay in a processor's cache, more keep a GPU busy.
_CHUNK_CPU, _CHUNK_GPU = 4, 16
_NUM_NOISE = 1 << 20
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Draws(NamedTuple):
    """Holds what is done to each of B clips."""

    mirrored: Tensor
    """bool (B,)."""
    shift: Tensor
    """int64 (B, 2) pixels down and to the right."""
    warped: Tensor
    """bool (B,): whether the clip is turned and zoomed at all."""
    angle: Tensor
    """float64 (B,) radians."""
    zoom: Tensor
    """float64 (B,); above 1 things grow."""
    contrast: Tensor
    """float64 (B,) about the middle grey."""
    brightness: Tensor
    """float64 (B,) in units of the middle grey, 1 for none."""
    gains: Tensor
    """float64 (B, 3) of the colours."""
    gamma: Tensor
    """float64 (B,) exponent."""
    noise: Tensor
    """float64 (B,) standard deviation in grey levels."""
    noise_starts: Tensor
    """int64 (B, T) where in the store of noise that of a frame begins."""


def alter(clips: Tensor, epochs: Tensor, positions: Tensor, train: TrainConfig) -> Tensor:
    """Mirror, shift, turn, zoom, re-expose and roughen clips, all frames of one alike.

    Noise alone differs from frame to frame. What is switched off costs nothing.

    Args:
        clips: uint8 (B, T, H, W, 3) RGB; H = W.
        epochs: int64 (B,), and
        positions: int64 (B,), on the device of the clips: what `Batch` holds.
        train: its `seed`, and in `alter` how much of each.

    Returns:
        New clips like `clips`, or `clips` themselves if everything is off.
    """
    cfg = train.alter
    _, num_frames, height, width, _ = clips.shape
    assert clips.dtype == torch.uint8 and height == width, (clips.dtype, clips.shape)
    moves = cfg.mirrored or cfg.shift_px > 0
    warps = cfg.warped > 0 and (cfg.rotation_deg > 0 or cfg.zoom > 0)
    exposes = cfg.jitter > 0 or cfg.gamma > 0
    if not (moves or warps or exposes or cfg.noise > 0):
        return clips
    drawn = draw(train.seed, epochs, positions, num_frames, cfg)
    altered = torch.empty_like(clips)
    size = _CHUNK_CPU if clips.device.type == "cpu" else _CHUNK_GPU
    for start in range(0, len(clips), size):
        some = slice(start, start + size)
        one = Draws(*(field[some] for field in drawn))
        # (b, 3, T, H, W): colours share a table, frames a grid.
        planes = clips[some].permute(0, 4, 1, 2, 3).contiguous()
        if warps:
            planes = _warp_some(planes, one)
        elif moves:
            planes = _move(planes, one)
        if exposes:
            planes = _look_up(planes, one)
        if cfg.noise > 0:
            planes = _add_noise(planes, one)
        altered[some] = planes.permute(0, 2, 3, 4, 1)
    return altered


def draw(seed: int, epochs: Tensor, positions: Tensor, num_frames: int, cfg: AlterConfig) -> Draws:
    """Draw what `alter` does; to switch one thing off leaves the others as they are."""
    u = uniform(seed, epochs, positions, 13 + num_frames)
    signed = 2 * u - 1
    warped = u[:, 3] < cfg.warped
    return Draws(
        mirrored=(u[:, 0] < 0.5) & cfg.mirrored,
        shift=(u[:, 1:3] * (2 * cfg.shift_px + 1)).long() - cfg.shift_px,
        warped=warped,
        angle=signed[:, 4] * math.radians(cfg.rotation_deg) * warped,
        zoom=1 + signed[:, 5] * cfg.zoom * warped,
        contrast=1 + signed[:, 6] * cfg.jitter,
        brightness=1 + signed[:, 7] * cfg.jitter,
        gains=1 + signed[:, 8:11] * (cfg.jitter / 4),
        gamma=(signed[:, 11] * cfg.gamma).exp(),
        noise=u[:, 12] * cfg.noise,
        noise_starts=(u[:, 13:] * _NUM_NOISE).long(),
    )


def uniform(seed: int, epochs: Tensor, positions: Tensor, num_draws: int) -> Tensor:
    """float64 (B, num_draws) in [0, 1): SplitMix64 (Steele et al., 2014) of seed, epoch, position.

    Integers wrap alike on every device, so these are the same numbers on all of them.
    """
    key = _mix(_mix(_mix(torch.full_like(epochs, seed)) + epochs) + positions)
    steps = torch.arange(1, num_draws + 1, device=epochs.device) * _signed(_GOLDEN)
    return _shifted(_mix(key[:, None] + steps), 11).double() * 2.0**-53


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shifted(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """`x >> bits` of the unsigned number, which torch lacks."""
    return (x >> bits) & (_MASK >> bits)


def _signed(x: int) -> int:
    return x - (1 << 64) if x >> 63 else x


def _move(planes: Tensor, drawn: Draws) -> Tensor:
    """Mirror and shift by whole pixels, which leaves each as it is."""
    *_, height, width = planes.shape
    steps = torch.arange(width, device=planes.device)
    rows = (steps - drawn.shift[:, :1]).clamp(0, height - 1)
    columns = (steps - drawn.shift[:, 1:]).clamp(0, width - 1)
    columns = torch.where(drawn.mirrored[:, None], width - 1 - columns, columns)
    pixels = (rows[:, :, None] * width + columns[:, None]).flatten(1)[:, None, None]
    flat = planes.flatten(3)
    return flat.gather(3, pixels.expand_as(flat)).view_as(planes)


def _warp_some(planes: Tensor, drawn: Draws) -> Tensor:
    """Turn and zoom those that are to be, and only mirror and shift the others."""
    if planes.device.type != "cpu":
        # It would wait to be told who is to be turned. By nothing, all keep their pixels.
        return _warp(planes, drawn)
    moved = _move(planes, drawn)
    some = drawn.warped.nonzero().flatten()
    if len(some):
        moved[some] = _warp(planes[some], Draws(*(field[some] for field in drawn)))
    return moved


def _warp(planes: Tensor, drawn: Draws) -> Tensor:
    """Turn and zoom about the middle, then mirror and shift, in one bilinear sampling."""
    *_, size, _ = planes.shape
    cos, sin = drawn.angle.cos() / drawn.zoom, drawn.angle.sin() / drawn.zoom
    flip = 1 - 2 * drawn.mirrored.double()
    # From a pixel of the result, in [-1, 1], to where it comes from.
    down, right = (2 / size * drawn.shift.double()).unbind(1)
    turn = torch.stack([flip * cos, -sin, flip * sin, cos], 1).view(-1, 2, 2)
    back = turn @ torch.stack([-right, -down], 1)[:, :, None]
    theta = torch.cat([turn, back], dim=2).float()
    shape = (len(planes), 1, size, size)
    grid = functional.affine_grid(theta, list(shape), align_corners=False)
    moved = functional.grid_sample(
        planes.flatten(1, 2).float(), grid, padding_mode="border", align_corners=False
    )
    return moved.round_().to(torch.uint8).view_as(planes)


def _look_up(planes: Tensor, drawn: Draws) -> Tensor:
    """Give every grey level of a colour another one."""
    levels = torch.arange(256, dtype=torch.float64, device=planes.device)
    light = (levels - 128) * drawn.contrast[:, None] + 128 * drawn.brightness[:, None]
    light = (light[:, None] * drawn.gains[:, :, None]).clamp(0, 255)
    table = 255 * (light / 255) ** drawn.gamma[:, None, None]
    flat = planes.flatten(2)
    return table.round().to(torch.uint8).gather(2, flat.long()).view_as(planes)


def _add_noise(planes: Tensor, drawn: Draws) -> Tensor:
    """Add noise that is independent over pixels, colours and frames."""
    flat = planes.transpose(1, 2).flatten(2)
    num_pixels = flat.shape[2]
    pieces = _store(_NUM_NOISE + num_pixels, planes.device).unfold(0, num_pixels, 1)
    noise = pieces.index_select(0, drawn.noise_starts.flatten()).view_as(flat)
    noisy = torch.addcmul(flat.float(), noise, drawn.noise.float()[:, None, None])
    rough = noisy.clamp_(0, 255).round_().to(torch.uint8)
    return rough.view_as(planes.transpose(1, 2)).transpose(1, 2)


@cache
def _store(length: int, device: torch.device) -> Tensor:
    """Normal noise to take pieces of, float32, the same on every device."""
    return torch.randn(length, generator=torch.Generator().manual_seed(0)).to(device)
