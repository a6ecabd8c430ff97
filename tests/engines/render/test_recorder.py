"""A camera films light that is given, without a scene."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.engines.render.appearance.fleet import FLEETS, draw_camera
from pipeline.engines.render.appearance.recorder import film
from pipeline.engines.take import UnusableDraw, VideoFormat

FORMAT = VideoFormat(width=64, height=48, fps=10.0, kbit_s=100, keyint=30)
STRIPES = np.tile(np.linspace(0.1, 2, 64, dtype=np.float32)[:, None], (48, 1, 3))


def filmed(radiance, seed=0, **changes):
    rng = np.random.default_rng(seed)
    profile = replace(draw_camera(rng, FLEETS[0], FORMAT.fps, indoors=False), **changes)
    return film(rng, profile, (0,), FORMAT, 1.0, 0.02, STRIPES, radiance)


def test_every_frame_is_an_exposure_of_its_own_time():
    asked = []

    def radiance(start_s, exposure_s):
        asked.append((start_s, exposure_s))
        return STRIPES

    frames, _ = filmed(radiance)
    assert frames.shape == (10, 48, 64, 3)
    assert frames.dtype == np.uint8
    assert [start_s for start_s, _ in asked] == pytest.approx(np.arange(10) / 10)
    assert all(0 < exposure_s <= 0.1 for _, exposure_s in asked)
    assert frames[-1, 24, 60].mean() > frames[-1, 24, 4].mean() + 20


def test_half_of_the_cameras_say_which_text_lies_over_their_frames():
    texts = [filmed(lambda *_: STRIPES, seed)[1] for seed in range(12)]
    assert 2 < sum(text is not None for text in texts) < 10


def test_one_grey_surface_is_dropped():
    grey = np.full((48, 64, 3), 0.5, np.float32)
    untitled = next(seed for seed in range(20) if filmed(lambda *_: STRIPES, seed)[1] is None)
    with pytest.raises(UnusableDraw, match="blank"):
        filmed(lambda *_: grey, untitled, vignette=0.0, dirt=0.0, full_well=1e7)
