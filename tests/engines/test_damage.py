import numpy as np
import pytest

from pipeline.engines import damage


def frames() -> np.ndarray:
    still = np.random.default_rng(0).integers(0, 256, (36, 64, 3), dtype=np.uint8)
    return np.stack([np.roll(still, k, 1) for k in range(40)])


def suffered(seed: int) -> np.ndarray:
    return damage.suffer(frames(), 15.0, np.random.default_rng(seed), can_bar=False)


def test_about_one_recording_in_twelve_is_damaged_and_only_in_places(monkeypatch):
    monkeypatch.setattr(damage, "_DROPPED_SHARE", 0.0)
    changed = [(suffered(seed) != frames()).any(axis=3) for seed in range(400)]
    share = np.mean([change.any() for change in changed])
    assert share == pytest.approx(0.08, abs=0.035)
    assert all(not change[0].any() for change in changed)
    assert np.mean([change.mean() for change in changed if change.any()]) < 0.5


def test_about_one_recording_in_seven_repeats_frames(monkeypatch):
    monkeypatch.setattr(damage, "_DAMAGED_SHARE", 0.0)
    num_changed = 0
    for seed in range(400):
        dropped = suffered(seed)
        wrong = (dropped != frames()).any(axis=(1, 2, 3))
        num_changed += wrong.any()
        for index in np.flatnonzero(wrong):
            assert (dropped[index] == dropped[index - 1]).all()
    assert num_changed / 400 == pytest.approx(0.15, abs=0.05)


@pytest.mark.parametrize(("share", "other"), [("_DROPPED", "_DAMAGED"), ("_DAMAGED", "_DROPPED")])
def test_what_is_lost_lasts_as_long_at_60_frames_a_second_as_at_15(monkeypatch, share, other):
    monkeypatch.setattr(damage, f"{share}_SHARE", 1.0)
    monkeypatch.setattr(damage, f"{other}_SHARE", 0.0)

    def lost_s(fps: float) -> float:
        still = np.random.default_rng(0).integers(0, 256, (36, 64, 3), dtype=np.uint8)
        given = np.stack([np.roll(still, k, 1) for k in range(round(8 * fps))])
        results = [
            damage.suffer(given, fps, np.random.default_rng(seed), can_bar=False)
            for seed in range(60)
        ]
        return float(np.mean([(one != given).any((1, 2, 3)).sum() / fps for one in results]))

    assert lost_s(60.0) == pytest.approx(lost_s(15.0), rel=0.15)


def test_what_happens_follows_the_seed_and_leaves_the_input_alone():
    for seed in range(40):
        given = frames()
        result = damage.suffer(given, 15.0, np.random.default_rng(seed), can_bar=False)
        assert (given == frames()).all()
        assert (result == suffered(seed)).all()


def test_a_single_frame_stays_as_it_is():
    for seed in range(40):
        one = frames()[:1]
        result = damage.suffer(one, 15.0, np.random.default_rng(seed), can_bar=False)
        assert (result == one).all()


def test_some_uploads_have_bars_and_films_only_their_own(monkeypatch):
    monkeypatch.setattr(damage, "_DROPPED_SHARE", 0.0)
    monkeypatch.setattr(damage, "_DAMAGED_SHARE", 0.0)
    bright = np.maximum(frames()[:2], 1)
    num_barred = 0
    for seed in range(300):
        rims = (damage.suffer(bright, 15.0, np.random.default_rng(seed)) == 0).all(axis=(0, 2, 3))
        assert (rims == rims[::-1]).all()
        num_barred += rims[0]
        assert rims.sum() < 0.4 * len(rims)
    # On a picture of 64x36 the ratio 1.85 leaves 34 lines, which is a bar of one.
    assert num_barred / 300 == pytest.approx(0.35, abs=0.07)
