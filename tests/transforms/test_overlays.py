from __future__ import annotations

import numpy as np
import pytest

from pipeline.transforms.base import Transform
from pipeline.transforms.registry import FAMILIES, TRANSFORMS

GREY = np.full((16, 128, 128, 3), 90, np.uint8)


def drawn(name: str, seed: int, strength: float = 1.0) -> dict:
    return TRANSFORMS[name].draw(np.random.default_rng(seed), strength)


def changed(name: str, **parameters: object) -> np.ndarray:
    """Where an overlay shows: (T, H, W) bool."""
    shown = TRANSFORMS[name].apply(GREY, {**drawn(name, 0), **parameters})
    return (shown != GREY).any(axis=-1)


@pytest.mark.parametrize("transform", FAMILIES["overlays"], ids=lambda t: t.name)
def test_draws_vary_and_every_one_shows_in_every_frame(transform: Transform) -> None:
    shown = [
        (transform.apply(GREY, transform.draw(np.random.default_rng(seed), 0.5)) != GREY)
        for seed in range(8)
    ]
    assert all(cover.any(axis=(1, 2, 3)).all() for cover in shown)
    assert len({cover.tobytes() for cover in shown}) >= 5


def test_a_crosshair_is_in_the_centre_and_health_in_a_lower_corner() -> None:
    at = changed("hud", widgets=["crosshair"], crosshair="cross", spent_at=[])[0].nonzero()
    assert all(side.min() >= 52 and side.max() <= 76 for side in at)
    rows, columns = changed("hud", widgets=["health"], health_bar=True, left_handed=False)[
        0
    ].nonzero()
    assert rows.min() > 100
    assert columns.max() < 64


def test_ammunition_counts_down_and_the_feed_grows() -> None:
    steps = changed("hud", widgets=["ammo"], spent_at=[0.5], ammo=30, face="plain")
    assert np.array_equal(steps[0], steps[7])
    assert not np.array_equal(steps[0], steps[8])
    feed = changed("hud", widgets=["feed"], feed=[[0.0, "Vex >> Juno"], [0.5, "Moth >> Orbit"]])
    assert feed[8].sum() > 1.5 * feed[0].sum()


def test_a_chat_scrolls() -> None:
    cover = TRANSFORMS["stream"].apply(GREY, {**drawn("stream", 1), "parts": ["chat"]})
    assert not np.array_equal(cover[0], cover[15])


def test_the_clock_goes_on_with_the_second() -> None:
    clip = TRANSFORMS["recorder"].apply(
        GREY, {**drawn("recorder", 0), "clock": "%H:%M:%S", "start_s": 0.5, "rec": False}
    )
    turns = [n for n in range(1, 16) if not np.array_equal(clip[n], clip[n - 1])]
    assert turns == [8]


def test_letterbox_bars_have_the_share_and_colour_of_the_record() -> None:
    clip = TRANSFORMS["letterbox"].apply(GREY, {"share": 0.1, "upright": False, "ink": [1, 2, 3]})
    bars = (clip[0] == (1, 2, 3)).all(axis=(1, 2))
    assert bars.nonzero()[0].tolist() == [*range(13), *range(115, 128)]


def test_rounded_corners_hide_the_corners_and_nothing_else() -> None:
    clip = TRANSFORMS["rounded_corners"].apply(GREY, {"radius": 0.2, "margin": 0, "ink": [0, 0, 0]})
    assert (clip[0, [0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
    assert (clip[0, 64] == 90).all()
