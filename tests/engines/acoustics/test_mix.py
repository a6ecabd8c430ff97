import numpy as np
import pytest

from pipeline.engines.acoustics.mix import draw, ducked, layers, mix
from pipeline.engines.acoustics.music import bed, harmonics, turning
from pipeline.engines.acoustics.scene import FilmMix
from pipeline.engines.acoustics.signals import RATE_HZ, pascal, rms

SEED = (4, 1)


def test_a_mix_brings_a_whisper_and_a_bang_together_below_its_ceiling() -> None:
    rng = np.random.default_rng(0)
    pressure = pascal(60) * rng.standard_normal(2 * RATE_HZ)
    pressure[RATE_HZ : RATE_HZ + 48] += pascal(160)
    found = mix(SEED, FilmMix(layers=False, peak_dbfs=-3.0), pressure, [])
    assert found.shape == pressure.shape
    assert np.abs(found).max() <= 10 ** (-3 / 20)
    quiet, loud = rms(found[: RATE_HZ // 2]), np.abs(found[RATE_HZ : RATE_HZ + 480]).max()
    # 100 dB apart in the world, and less than half of that in the mix.
    assert 20 < 20 * np.log10(loud / quiet) < 60


def test_layers_lie_where_a_discharge_is_heard() -> None:
    silence = np.zeros(2 * RATE_HZ)
    found = mix(SEED, FilmMix(), silence, [0.7])
    assert not found[: round(0.69 * RATE_HZ)].any()
    assert np.abs(found[round(0.7 * RATE_HZ) : round(0.75 * RATE_HZ)]).max() > 0.1
    one = layers(np.random.default_rng(0))
    power = np.abs(np.fft.rfft(one, RATE_HZ * 2)) ** 2
    assert power[:300].sum() > 0.3 * power.sum()


def test_gain_raises_what_is_quiet_and_leaves_a_bang_below_the_ceiling() -> None:
    rng = np.random.default_rng(0)
    pressure = pascal(50) * rng.standard_normal(2 * RATE_HZ)
    pressure[RATE_HZ : RATE_HZ + 48] += pascal(150)
    plain, raised = (
        mix(SEED, FilmMix(layers=False, gain_db=gain_db), pressure, []) for gain_db in (0.0, 20.0)
    )
    before = slice(0, RATE_HZ // 2)
    assert 20 * np.log10(rms(raised[before]) / rms(plain[before])) == pytest.approx(20, abs=0.5)
    assert np.abs(raised).max() <= 10 ** (-1 / 20)


def test_a_band_takes_what_is_below_and_above_it() -> None:
    noise = pascal(60) * np.random.default_rng(0).standard_normal(RATE_HZ)
    wide, narrow = (
        np.abs(np.fft.rfft(mix(SEED, FilmMix(layers=False, band_hz=band_hz), noise, [])))
        for band_hz in ((30.0, 20_000.0), (180.0, 3000.0))
    )
    shares = [rms(narrow[low:high]) / rms(wide[low:high]) for low, high in ((40, 60), (400, 1000))]
    top = rms(narrow[9000:12000]) / rms(wide[9000:12000])
    assert shares[0] < 0.15
    assert shares[1] > 0.9
    assert top < 0.4


def test_games_lay_less_under_a_discharge_than_films() -> None:
    drawn = {
        family: [draw(np.random.default_rng(k), family) for k in range(200)]
        for family in ("film", "game")
    }
    layered = {family: np.mean([one.layers for one in some]) for family, some in drawn.items()}
    assert layered["film"] > layered["game"] + 0.2
    music = [np.mean([one.music_db is not None for one in some]) for some in drawn.values()]
    assert music == pytest.approx([0.15, 0.15], abs=0.07)


def test_music_gives_way_and_comes_back() -> None:
    music, effects = np.ones(4 * RATE_HZ), np.zeros(4 * RATE_HZ)
    effects[RATE_HZ : RATE_HZ + 4800] = 0.8
    found = ducked(music, effects)
    assert found[: RATE_HZ - 100] == pytest.approx(1)
    assert found[RATE_HZ + 4000] < 0.2
    assert found[-1] == pytest.approx(1, abs=0.05)


def test_music_has_its_tempo_and_never_stops() -> None:
    wave = bed(np.random.default_rng(3), 8.0, 120.0)
    assert wave.shape == (8 * RATE_HZ,)
    assert rms(wave) == pytest.approx(1)
    parts = [rms(part) for part in np.array_split(wave, 32)]
    assert min(parts) > 0.2
    # Beats of 0.5 s: what is loud comes again after it.
    level = np.array([rms(part) for part in np.array_split(wave, 400)])
    level = level - level.mean()
    again = np.correlate(level, level, "full")[len(level) :]
    assert 20 + again[20:30].argmax() == pytest.approx(24, abs=1)
    other = bed(np.random.default_rng(4), 8.0, 120.0)
    assert not np.allclose(wave, other)


@pytest.mark.parametrize("seed", range(4))
def test_music_that_ends_sooner_is_the_beginning_of_longer_music(seed: int) -> None:
    short, long = (bed(np.random.default_rng(seed), duration_s, 90.0) for duration_s in (1.1, 4.0))
    begins = long[: len(short)]
    assert short == pytest.approx(begins / rms(begins))


@pytest.mark.parametrize(("num_harmonics", "fall"), [(1, 0.0), (14, 1.2)])
def test_harmonics_are_sines_that_fall(num_harmonics: int, fall: float) -> None:
    rng = np.random.default_rng(0)
    phase, shifts = np.cumsum(rng.uniform(0, 0.1, 5000)), rng.uniform(0, 6, num_harmonics)
    numbers = np.arange(1, num_harmonics + 1)
    expected = np.sin(numbers * phase[:, None] + shifts) @ (numbers**-fall)
    assert harmonics(turning(phase), shifts, fall) == pytest.approx(expected, abs=1e-9)
