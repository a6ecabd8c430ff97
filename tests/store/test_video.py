from __future__ import annotations

import numpy as np
import pytest

from pipeline.store import video
from tests.conftest import moving_frames


def test_encoding_gives_the_same_bytes_after_other_work_in_the_same_process() -> None:
    frames = moving_frames(0, 16, 128)
    first = video.encode(frames, 15)
    video.encode(moving_frames(1, 40, 64), 30, crf=30)
    assert video.encode(frames, 15) == first


def test_a_clip_survives_encoding_at_more_than_30_db() -> None:
    frames = moving_frames(0, 16, 128)
    error = (video.decode(video.encode(frames, 15)).astype(float) - frames) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > 30


def test_a_bit_rate_is_held_whatever_the_picture_and_gives_the_same_bytes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 64, 64, 3), np.uint8)
    calm = moving_frames(1, 60)
    rates = {}
    for name, frames in (("noise", noise), ("calm", calm)):
        mp4 = video.encode(frames, 15.0, kbit_s=100, keyint=30)
        assert mp4 == video.encode(frames, 15.0, kbit_s=100, keyint=30)
        rates[name] = len(mp4) * 8 / 4 / 1000
    assert rates["noise"] == pytest.approx(100, rel=0.5)
    assert rates["calm"] < 150


@pytest.mark.parametrize("size", [(128, 128), (64, 64), (90, 160)])
def test_pyav_reads_the_same_pixels_as_decord(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, size: tuple[int, int]
) -> None:
    pytest.importorskip("decord")
    noise = np.random.default_rng(0).integers(0, 256, (20, *size, 3), np.uint8)
    clips = [video.encode(frames, 15) for frames in (noise, moving_frames(0, 16, size[0]))]
    expected = [video.decode(clip) for clip in clips]
    monkeypatch.setattr(video, "READER", "av")
    video._tell_of_pyav.cache_clear()
    for clip, frames in zip(clips, expected, strict=True):
        np.testing.assert_array_equal(video.decode(clip), frames)
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "video: decord, which has wheels for x86-64 alone, is not installed"
    ]
