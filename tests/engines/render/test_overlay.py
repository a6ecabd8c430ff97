from dataclasses import replace

import numpy as np
import pytest

from pipeline.engines.render.appearance.overlay import CameraText, TextLayer, draw_text

TEXT = CameraText(
    start_unix_s=1_600_000_000,
    device="UNIT12",
    agency="RANGE",
    position="",
    time_format=0,
    layout=0,
    corner=0,
    face="vector",
    size=0.05,
    colour=(1, 1, 1),
    backing="none",
    logo=False,
    battery=2,
)


@pytest.mark.parametrize("face", ["vector", "bitmap", "stroke"])
@pytest.mark.parametrize("corner", range(4))
def test_text_stays_in_its_corner(corner, face):
    _, cover = replace(TEXT, corner=corner, face=face).draw(256, 144, 3.0)
    rows, columns = np.nonzero(cover[..., 0] > 0.4)
    assert len(rows) > 50
    assert (rows.mean() > 72) == (corner in (2, 3))
    assert (columns.mean() > 128) == (corner in (0, 3))


@pytest.mark.parametrize("backing", ["none", "box", "shadow"])
@pytest.mark.parametrize("layout", range(5))
def test_every_layout_leaves_the_middle_free_and_its_clock_runs(layout, backing):
    text = replace(TEXT, layout=layout, backing=backing, logo=True, position="10.0 20.0")
    colour, cover = text.draw(192, 144, 0.0)
    assert colour.shape == (144, 192, 3)
    assert (colour <= cover + 1e-6).all()
    assert cover.max() <= 1
    assert cover[30:-30].max() == 0
    assert (text.draw(192, 144, 1.0)[0] != colour).any()


def test_half_of_the_devices_show_no_text():
    texts = [draw_text(np.random.default_rng(seed), (0, 1)) for seed in range(400)]
    assert np.mean([text is None for text in texts]) == pytest.approx(0.5, abs=0.07)
    assert len({text.corner for text in texts if text}) == 4


def test_a_layer_covers_the_picture_with_the_text_of_its_time():
    layer = TextLayer(TEXT, 192, 144)
    grey = np.full((144, 192, 3), 0.3, np.float32)
    colour, cover = TEXT.draw(192, 144, 1.0)
    assert layer.over(grey, 1.2) == pytest.approx(grey * (1 - cover) + colour)
    assert (layer.over(grey, 1.4) == layer.over(grey, 1.2)).all()
    assert (layer.over(grey, 2.1) != layer.over(grey, 1.2)).any()
