from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline import app
from pipeline.config import AlterConfig, TrainApp
from pipeline.learn import ondevice
from pipeline.learn.ondevice import alter, draw, uniform

OFF = AlterConfig(
    mirrored=False,
    shift_px=0,
    warped=1.0,
    rotation_deg=0.0,
    zoom=0.0,
    jitter=0.0,
    gamma=0.0,
    noise=0.0,
)
ALL = AlterConfig(
    mirrored=True,
    shift_px=3,
    warped=0.5,
    rotation_deg=8.0,
    zoom=0.2,
    jitter=0.3,
    gamma=0.3,
    noise=4.0,
)
EPOCHS = torch.full((8,), 2)
PLACES = torch.arange(8) + 40


def clips(num_clips: int = 8, num_frames: int = 4, size: int = 32) -> Tensor:
    shape = (num_clips, num_frames, size, size, 3)
    return torch.randint(20, 230, shape, generator=torch.Generator().manual_seed(1)).byte()


def still() -> Tensor:
    return clips()[:, :1].expand(-1, 4, -1, -1, -1)


def altered(given: Tensor, cfg: AlterConfig, seed: int = 7) -> Tensor:
    train = app.compose("train")
    assert isinstance(train, TrainApp)
    return alter(given, EPOCHS, PLACES, replace(train, alter=cfg, seed=seed))


def splitmix64(state: int) -> int:
    mask = (1 << 64) - 1
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & mask
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & mask
    return state ^ (state >> 31)


def test_draws_are_those_of_splitmix64() -> None:
    mask = (1 << 64) - 1
    found = uniform(2**62 + 5, torch.tensor([3, 3]), torch.tensor([0, 2**40]), 4)
    for row, place in zip(found.tolist(), (0, 2**40), strict=True):
        key = splitmix64((splitmix64((splitmix64(2**62 + 5) + 3) & mask) + place) & mask)
        expected = [
            (splitmix64((key + step * 0x9E3779B97F4A7C15) & mask) >> 11) / 2**53
            for step in range(1, 5)
        ]
        assert row == expected


def test_draws_are_uniform_and_independent_over_places_epochs_and_kinds() -> None:
    places = torch.arange(4096)
    one = uniform(7, torch.full_like(places, 1), places, 6)
    other = uniform(7, torch.full_like(places, 2), places, 6)
    many = torch.cat([one, other], dim=1)
    assert many.min() >= 0
    assert many.max() < 1
    assert many.mean(0).tolist() == pytest.approx([0.5] * 12, abs=0.02)
    assert many.var(0).tolist() == pytest.approx([1 / 12] * 12, abs=0.005)
    shifted = torch.cat([many[1:], many[:-1]], dim=1)
    for table in (many, shifted):
        correlation = torch.corrcoef(table.T) - torch.eye(table.shape[1])
        assert correlation.abs().max() < 0.08


def test_what_is_off_leaves_the_very_clips() -> None:
    given = clips()
    assert altered(given, OFF) is given


def test_neither_batch_nor_order_nor_chunk_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    train = app.compose("train")
    assert isinstance(train, TrainApp)
    cfg = replace(train, alter=ALL)
    given = clips()
    whole = alter(given, EPOCHS, PLACES, cfg)
    for order in (*torch.arange(8)[:, None], torch.tensor([5, 2, 7])):
        assert (alter(given[order], EPOCHS[order], PLACES[order], cfg) == whole[order]).all()
    monkeypatch.setattr(ondevice, "_CHUNK_CPU", 3)
    assert (alter(given, EPOCHS, PLACES, cfg) == whole).all()
    monkeypatch.setattr(ondevice, "_warp_some", ondevice._warp)
    together = alter(given, EPOCHS, PLACES, cfg)
    # A grid of a clip that is not turned is exact but for a float's last digits.
    assert (together.int() - whole.int()).abs().max() <= 1
    assert (together != whole).float().mean() < 1e-3


@pytest.mark.parametrize("changed", ["seed", "epoch", "place"])
def test_seed_epoch_and_place_decide(changed: str) -> None:
    cfg = replace(OFF, jitter=0.3)
    train = app.compose("train")
    assert isinstance(train, TrainApp)
    given = clips(1).expand(8, -1, -1, -1, -1)
    first = alter(given, EPOCHS, PLACES, replace(train, alter=cfg))
    assert len({clip.numpy().tobytes() for clip in first}) == 8
    other = alter(
        given,
        EPOCHS + (changed == "epoch"),
        PLACES + 100 * (changed == "place"),
        replace(train, alter=cfg, seed=train.seed + (changed == "seed")),
    )
    assert all((a != b).any() for a, b in zip(first, other, strict=True))


def test_half_is_mirrored_and_nothing_else() -> None:
    given = clips()
    seen = set()
    for clip, result in zip(given, altered(given, replace(OFF, mirrored=True)), strict=True):
        mirrored = bool((result == clip.flip(2)).all())
        assert mirrored or (result == clip).all()
        seen.add(mirrored)
    assert seen == {True, False}


def test_shifts_repeat_the_edge_and_reach_as_far_as_asked() -> None:
    drawn = draw(
        7, torch.zeros(500, dtype=torch.long), torch.arange(500), 4, replace(OFF, shift_px=3)
    )
    assert set(drawn.shift.flatten().tolist()) == {-3, -2, -1, 0, 1, 2, 3}
    given = clips()
    cfg = replace(OFF, shift_px=3)
    shift = draw(7, EPOCHS, PLACES, 4, cfg).shift
    steps = torch.arange(32)
    for clip, result, (down, right) in zip(given, altered(given, cfg), shift.tolist(), strict=True):
        rows, columns = (steps - down).clamp(0, 31), (steps - right).clamp(0, 31)
        assert (result == clip[:, rows][:, :, columns]).all()


def test_a_warp_of_nothing_is_a_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    given = clips()
    cfg = replace(OFF, mirrored=True, shift_px=5, rotation_deg=1e-9)
    assert (altered(given, cfg) == altered(given, replace(cfg, rotation_deg=0.0))).all()


def bright_spot(y: float, x: float, size: int = 65) -> Tensor:
    grid = torch.arange(size) - size // 2
    spot = torch.exp(-((grid[:, None] - y) ** 2 + (grid - x) ** 2) / 8)
    return (spot * 250).byte()[None, None, :, :, None].expand(8, 1, -1, -1, 3)


def centre(clip: Tensor) -> tuple[float, float]:
    weight = clip[0, :, :, 0].double()
    grid = torch.arange(len(weight)) - len(weight) // 2
    total = weight.sum()
    return float((weight.sum(1) @ grid.double()) / total), float(
        (weight.sum(0) @ grid.double()) / total
    )


def test_turning_and_zooming_move_things_about_the_middle() -> None:
    cfg = replace(OFF, rotation_deg=30.0, zoom=0.3)
    drawn = draw(7, EPOCHS, PLACES, 1, cfg)
    results = altered(bright_spot(0.0, 15.0), cfg)
    for clip, angle, zoom in zip(results, drawn.angle, drawn.zoom, strict=True):
        y, x = centre(clip)
        assert math.hypot(y, x) == pytest.approx(15 * float(zoom), abs=0.5)
        assert abs(math.atan2(y, x)) == pytest.approx(abs(float(angle)), abs=0.03)
    assert drawn.angle.abs().max() <= math.radians(30)
    assert drawn.angle.abs().max() > math.radians(10)
    assert 0.7 <= drawn.zoom.min() < 0.9
    assert 1.1 < drawn.zoom.max() <= 1.3


def test_only_a_share_is_warped_and_the_rest_keeps_its_pixels() -> None:
    given = clips()
    cfg = replace(OFF, warped=0.5, rotation_deg=10.0)
    warped = draw(7, EPOCHS, PLACES, 4, cfg).warped
    same = [bool((a == b).all()) for a, b in zip(given, altered(given, cfg), strict=True)]
    assert same == (~warped).tolist()
    assert 0 < sum(same) < 8


def test_light_is_scaled_about_the_middle_grey_and_coloured() -> None:
    cfg = replace(OFF, jitter=0.3)
    drawn = draw(7, EPOCHS, PLACES, 4, cfg)
    given = clips()
    light = (given.double() - 128) * drawn.contrast.view(-1, 1, 1, 1, 1)
    light = light + 128 * drawn.brightness.view(-1, 1, 1, 1, 1)
    expected = (light * drawn.gains.view(-1, 1, 1, 1, 3)).clamp(0, 255).round()
    assert (altered(given, cfg) == expected).all()
    assert (drawn.contrast - 1).abs().max() <= 0.3
    assert (drawn.gains - 1).abs().max() <= 0.075


def test_gamma_bends_between_black_and_white() -> None:
    cfg = replace(OFF, gamma=0.5)
    gamma = draw(7, EPOCHS, PLACES, 4, cfg).gamma.view(-1, 1, 1, 1, 1)
    given = clips()
    given[:, 0, 0, 0], given[:, 0, 0, 1] = 0, 255
    result = altered(given, cfg)
    assert (result == (255 * (given.double() / 255) ** gamma).round()).all()
    assert (result[:, 0, 0, 0] == 0).all()
    assert (result[:, 0, 0, 1] == 255).all()
    assert gamma.min() < 0.9 < 1.1 < gamma.max()


def test_noise_has_the_drawn_strength_and_differs_in_every_frame() -> None:
    cfg = replace(OFF, noise=8.0)
    given = torch.full((8, 4, 64, 64, 3), 128, dtype=torch.uint8)
    result = altered(given, cfg).double() - 128
    sigma = draw(7, EPOCHS, PLACES, 4, cfg).noise
    # Rounding adds a twelfth of a squared grey level.
    spread = result.flatten(1).std(1)
    assert spread.tolist() == pytest.approx((sigma**2 + 1 / 12).sqrt().tolist(), rel=0.05)
    frames = result[sigma.argmax()].flatten(1)
    assert (torch.corrcoef(frames) - torch.eye(4)).abs().max() < 0.05


@pytest.mark.parametrize("name", ["mirrored", "shift_px", "jitter", "gamma", "rotation_deg"])
def test_all_frames_are_altered_alike(name: str) -> None:
    cfg = replace(OFF, **{name: {"mirrored": True, "shift_px": 4}.get(name, 0.4)})
    if name == "rotation_deg":
        cfg = replace(cfg, rotation_deg=20.0)
    result = altered(still(), cfg)
    assert (result == result[:, :1]).all()
    assert (result != still()).any()


def test_to_switch_one_off_leaves_the_others() -> None:
    both = draw(7, EPOCHS, PLACES, 4, ALL)
    for name in ("mirrored", "shift_px", "jitter", "noise"):
        fewer: Any = draw(7, EPOCHS, PLACES, 4, replace(ALL, **{name: 0}))
        assert (fewer.angle == both.angle).all()
        assert (fewer.gamma == both.gamma).all()


@pytest.mark.gpu
def test_a_gpu_draws_and_alters_alike() -> None:
    train = app.compose("train")
    assert isinstance(train, TrainApp)
    cfg = replace(train, alter=ALL)
    given = clips(24)
    epochs, places = torch.full((24,), 2), torch.arange(24)
    here = alter(given, epochs, places, cfg)
    there = alter(given.cuda(), epochs.cuda(), places.cuda(), cfg).cpu()
    assert (here.int() - there.int()).abs().max() <= 1
    assert (here != there).float().mean() < 0.01
