import numpy as np
import pytest

from pipeline.engines.acoustics.scene import SoundEvent
from pipeline.engines.acoustics.signals import LEAD, RATE_HZ, Vector, level_db
from pipeline.engines.acoustics.sources import FIREWORKS, KINDS
from pipeline.engines.acoustics.sources.emission import Emission

PEAKS_DB = {
    "discharge": (140, 170),
    "blank": (136, 166),
    "firecracker": (135, 156),
    "rocket": (142, 164),
    "balloon": (118, 136),
    "burst_bag": (108, 128),
    "whip": (114, 132),
    "nail_gun": (94, 114),
    "door": (94, 114),
    "hammer": (92, 115),
    "clap": (76, 100),
    "book": (86, 106),
    "glass": (90, 112),
    "dry_fire": (84, 104),
    "plastic_bag": (74, 100),
    "shout": (90, 112),
    "speech": (70, 90),
}
"""Of the loudest emission at 1 m, dB re 20 µPa."""


def drawn(
    kind: str, seed: int = 0, weapon: str = "pistol_9mm", away: float = 2.0
) -> list[Emission]:
    event = SoundEvent(0.0, kind, (0.0, away, 0.0), weapon=weapon)
    return KINDS[kind](np.random.default_rng(seed), event, away)


def centroid(wave: Vector) -> float:
    power = np.abs(np.fft.rfft(wave)) ** 2
    return float((np.fft.rfftfreq(len(wave), 1 / RATE_HZ) * power).sum() / power.sum())


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_kind_is_drawn_twice_alike_and_differs_by_its_seed(kind: str) -> None:
    first, again, other = drawn(kind), drawn(kind), drawn(kind, 1)
    assert len(first) == len(again) > 0
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one.wave, two.wave)
        assert one.delay_s == two.delay_s
        assert np.isfinite(one.wave).all()
        assert np.abs(one.wave).max() > 0
    assert not np.array_equal(first[0].wave[:1000], other[0].wave[:1000])


@pytest.mark.parametrize(("kind", "peaks"), PEAKS_DB.items())
def test_kinds_are_as_loud_as_they_are(kind: str, peaks: tuple[float, float]) -> None:
    for seed in range(5):
        loudest = max(np.abs(one.wave).max() for one in drawn(kind, seed))
        assert peaks[0] <= level_db(float(loudest)) <= peaks[1]


def test_only_muzzles_are_directed_and_only_blasts_are_shocks() -> None:
    for kind in KINDS:
        emissions = drawn(kind)
        assert any(one.directed for one in emissions) == (kind in ("discharge", "blank"))
        shocks = ("discharge", "blank", "firecracker", *FIREWORKS)
        assert not any(one.is_shock for one in emissions) or kind in shocks


def test_an_action_is_heard_near_by_and_follows_the_bang() -> None:
    assert len(drawn("discharge", away=20.0)) == 1
    pump, revolver = (
        drawn("discharge", weapon="shotgun_12"),
        drawn("discharge", weapon="revolver_38"),
    )
    assert len(revolver) == 1
    late = [one for one in pump[1:] if one.delay_s > 0.24]
    assert len(late) >= 3
    assert all(one.delay_s > 0.01 for one in pump[1:])
    assert max(np.abs(one.wave).max() for one in pump[1:]) < 1e-2 * np.abs(pump[0].wave).max()


def test_a_blank_is_weaker_than_a_round() -> None:
    def mean(kind: str) -> float:
        peaks = [np.abs(drawn(kind, seed)[0].wave).max() for seed in range(20)]
        return float(np.mean([level_db(peak) for peak in peaks]))

    assert mean("discharge") - mean("blank") == pytest.approx(4, abs=1)


def test_dull_and_bright_sounds_are_dull_and_bright() -> None:
    loudest = {
        kind: max(drawn(kind), key=lambda one: float(np.abs(one.wave).max())).wave for kind in KINDS
    }
    for dull in ("thunder", "door", "book", "engine"):
        assert centroid(loudest[dull]) < 900
    for bright in ("glass", "keys", "plastic_bag", "whip", "dry_fire"):
        assert centroid(loudest[bright]) > 2000


def level(wave: Vector) -> float:
    return level_db(float(np.sqrt(np.mean(wave**2))))


def test_a_bag_crackles_before_and_after_it_bursts() -> None:
    for seed in range(5):
        emissions = drawn("burst_bag", seed)
        burst = max(emissions, key=lambda one: float(np.abs(one.wave).max()))
        first, last = emissions[0], emissions[-1]
        assert first.delay_s < -0.04
        assert last.delay_s + len(last.wave) / RATE_HZ > 0.1
        assert burst.delay_s == 0
        for crackle in (first, last):
            below = level_db(float(np.abs(burst.wave).max() / np.abs(crackle.wave).max() * 20e-6))
            assert 10 < below < 40
        # It breathes out below 1.5 kHz, where a blast's energy would reach further up.
        assert centroid(burst.wave) < 1500


def test_a_whip_hisses_ever_louder_up_to_a_short_crack() -> None:
    for seed in range(5):
        hiss, crack = drawn("whip", seed)
        at = LEAD + round(-hiss.delay_s * RATE_HZ)
        parts = [
            hiss.wave[at - round(early * RATE_HZ) : at - round(late * RATE_HZ)]
            for early, late in ((0.2, 0.1), (0.05, 0.03), (0.01, 0.002))
        ]
        levels = [level(part) for part in parts]
        assert levels[0] + 6 < levels[1] < levels[2] - 1
        assert level(hiss.wave[at + round(0.1 * RATE_HZ) :]) < levels[1]
        assert np.abs(crack.wave).max() > 5 * np.abs(hiss.wave).max()
        loud = np.flatnonzero(np.abs(crack.wave) > 0.1 * np.abs(crack.wave).max())
        assert (loud[-1] - loud[0]) / RATE_HZ < 0.25e-3


def test_a_balloon_has_no_front_as_a_blast_has() -> None:
    def rise_s(kind: str, seed: int) -> float:
        wave = drawn(kind, seed, away=1.0)[0].wave
        top = int(wave.argmax())
        return float(top - np.flatnonzero(wave[:top] < 0.1 * wave[top])[-1]) / RATE_HZ

    balloons, crackers = (
        [rise_s(kind, seed) for seed in range(20)] for kind in ("balloon", "firecracker")
    )
    assert max(crackers) < 0.06e-3
    assert 0.06e-3 < np.median(balloons) < 0.6e-3


def test_voices_have_pitch_and_shouts_are_higher() -> None:
    def pitch(kind: str, seed: int) -> float:
        wave = drawn(kind, seed)[0].wave[LEAD:]
        loud = wave[int(np.argmax(np.convolve(wave**2, np.ones(4800), "same"))) - 2400 :][:4800]
        spectrum = np.abs(np.fft.rfft(loud, 1 << 15)) ** 2
        heard = np.fft.irfft(spectrum)[: RATE_HZ // 60]
        first = RATE_HZ // 500
        return float(RATE_HZ / (first + heard[first:].argmax()))

    talk, call = ([pitch(kind, seed) for seed in range(8)] for kind in ("speech", "shout"))
    assert all(75 < one < 500 for one in talk + call)
    assert np.median(call) > 1.2 * np.median(talk)
