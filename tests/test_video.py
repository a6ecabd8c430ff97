from __future__ import annotations

import numpy as np

from pipeline import video
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
