import numpy as np
import pytest

from pipeline.engines.render.look import damage


def frames(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    still = rng.integers(0, 256, (36, 64, 3), dtype=np.uint8)
    return np.stack([np.roll(still, k, 1) for k in range(40)])


def test_about_one_recording_in_twelve_is_damaged_and_only_in_places():
    changed = []
    for seed in range(400):
        damaged = frames()
        damage.lose_packets(np.random.default_rng(seed), damaged)
        changed.append((damaged != frames()).any(axis=3))
    share = np.mean([change.any() for change in changed])
    assert share == pytest.approx(0.08, abs=0.035)
    assert all(not change[0].any() for change in changed)
    assert np.mean([change.mean() for change in changed if change.any()]) < 0.5


def test_damage_and_drops_follow_their_seed():
    for work in (damage.lose_packets, damage.drop_frames):
        results = []
        for _ in range(2):
            one = frames()
            for seed in range(40):
                work(np.random.default_rng(seed), one)
            results.append(one)
        assert (results[0] == results[1]).all()
        assert (results[0] != frames()).any()


def test_dropped_frames_repeat_the_one_before():
    for seed in range(60):
        dropped = frames()
        damage.drop_frames(np.random.default_rng(seed), dropped)
        wrong = (dropped != frames()).any(axis=(1, 2, 3))
        for index in np.flatnonzero(wrong):
            assert (dropped[index] == dropped[index - 1]).all()
