"""What pixels tell of a clip."""

import numpy as np

from pipeline.assess.suites.slices import pixels


def grey(level, size=(4, 32, 32)):
    return np.broadcast_to(np.asarray(level, np.uint8).reshape(-1, 1, 1, 1), (*size, 3)).copy()


def test_a_still_grey_clip_has_its_level_and_nothing_else():
    found = pixels.measure(grey([90] * 4))
    assert np.allclose([found.brightness, found.motion, found.contrast], [90, 0, 0])


def test_motion_is_the_mean_change_and_contrast_the_spread():
    assert np.isclose(pixels.measure(grey([10, 20, 40, 70])).motion, 20)
    halves = grey([20] * 4)
    halves[:, :, 16:] = 220
    found = pixels.measure(halves)
    assert np.isclose(found.contrast, 200)
    assert np.isclose(found.brightness, 120)


def test_every_clip_falls_into_one_slice_of_each_kind():
    measured = {
        1: pixels.Statistics(pixels.DARK - 1, pixels.STILL, pixels.FLAT),
        3: pixels.Statistics(pixels.DARK, 0.0, 0.0),
        4: pixels.Statistics(pixels.BRIGHT + 1, 50.0, 200.0),
    }
    slices = pixels.slices(measured, 6)
    for name in ("brightness", "picture", "contrast"):
        members = np.sum([one.member for one in slices if one.name == name], axis=0)
        assert members.tolist() == [0, 1, 0, 1, 1, 0]
    assert all(one.known.tolist() == [False, True, False, True, True, False] for one in slices)
    by_value = {one.value: one.member for one in slices}
    assert [int(np.flatnonzero(by_value[v])[0]) for v in ("dark", "middle", "bright")] == [1, 3, 4]


def test_nothing_looked_at_gives_no_slice():
    assert pixels.slices({}, 5) == []
