from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.commands import catalogue
from pipeline.commands.testcard import testcard as moving_scene
from pipeline.config import App
from pipeline.transforms.registry import EVERY, SOUND_TRANSFORMS, STRENGTHS, TRANSFORMS
from tests.stages.test_augment import write_clips


@pytest.fixture
def cfg(compose: Callable[..., App]) -> Any:
    return compose("ingest", "clip.num_frames=6", "clip.size=64")


def pictures(page: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def test_one_page_shows_every_transform_at_three_strengths_with_its_parameters(
    cfg: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue.run(cfg)
    html, sheet = map(Path, capsys.readouterr().out.split())
    page = html.read_text()
    names = list(EVERY)
    assert len(pictures(page)) == 3 * len(names)
    kinds = [picture.ndim for picture in pictures(page)]
    assert kinds == [3] * 3 * len(TRANSFORMS) + [2] * 3 * len(SOUND_TRANSFORMS)
    spectrograms = pictures(page)[3 * len(TRANSFORMS) :]
    assert len({picture.tobytes() for picture in spectrograms}) == len(spectrograms)
    for name in names:
        assert f'<article id="{name}">' in page
    for strength in STRENGTHS:
        assert page.count(f"<figcaption>{strength}") == len(names)
    assert "&#34;coefficient&#34;" in page
    assert not re.search(r"https?://|<script|<link", page)
    assert Image.open(sheet).format == "JPEG"


def test_the_same_bytes_each_time(cfg: Any, capsys: pytest.CaptureFixture[str]) -> None:
    written = []
    for _ in range(2):
        catalogue.run(cfg)
        written.append([Path(p).read_bytes() for p in capsys.readouterr().out.split()])
    assert written[0] == written[1]


def test_clips_are_shown_grey_and_blurred(
    cfg: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clips(tmp_path, ["train"] * 2)
    (tmp_path / "splits" / "manifest.parquet").rename(tmp_path / "clips" / "manifest.parquet")
    catalogue.run(cfg)
    page = Path(capsys.readouterr().out.split()[0]).read_text()
    assert "grey and blurred" in page
    assert all(picture.ndim == 2 for picture in pictures(page))


def test_the_scene_moves_and_has_colour() -> None:
    scene = moving_scene(4, 64)
    assert scene.shape == (4, 64, 64, 3)
    assert scene.dtype == np.uint8
    steps = np.abs(np.diff(scene.astype(int), axis=0)).mean(axis=(1, 2, 3))
    assert (steps > 2).all()
    assert np.ptp(scene[0].astype(int), axis=-1).max() > 100
