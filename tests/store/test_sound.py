from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.store import shards, sound
from tests.rows import clip_row


@pytest.mark.parametrize("num", [1, 4_095, 25_600])
def test_nothing_is_lost_and_equal_samples_give_equal_bytes(num: int) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, num).astype(np.int16)
    data = sound.encode(samples)
    assert data[:4] == b"fLaC"
    assert data == sound.encode(samples.copy())
    np.testing.assert_array_equal(sound.decode(data), samples)


def test_a_frame_of_the_default_rate_is_1600_samples() -> None:
    assert sound.num_samples(1, 15.0) == 1_600
    assert sound.num_samples(16, 15.0) == 25_600


def test_a_shard_that_was_cut_is_named_when_sound_is_read(tmp_path: Path) -> None:
    with shards.ShardWriter(tmp_path, 10) as tar:
        tar.add("x", b"....ftyp")
        heard = tar.add_sound("x", sound.encode(np.arange(100, dtype=np.int16)))
    where = {"shard": heard.shard, "offset": 0, "size": 8}
    told = dict.fromkeys(("clip_id", "collection", "path", "source", "recording", "box"), "x")
    clip = clip_row(
        **told,
        **where,
        origin="real",
        start_s=0.0,
        discharge=None,
        licence="CC0-1.0",
        authority="",
        sound_offset=heard.offset,
        sound_size=heard.size,
    )
    np.testing.assert_array_equal(sound.read_sound(tmp_path, clip), np.arange(100))
    (tmp_path / heard.shard).write_bytes((tmp_path / heard.shard).read_bytes()[: heard.offset + 9])
    with pytest.raises(UserError, match="truncated or changed, the sound of clip"):
        sound.read_sound(tmp_path, clip)


def test_no_byte_of_a_sound_changes_unseen(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-3000, 3000, 25_600).astype(np.int16)
    data = sound.encode(samples)
    for at in range(8, len(data), 1499):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        try:
            # A byte of the header may count for nothing.
            np.testing.assert_array_equal(sound.decode(bytes(damaged)), samples)
        except ValueError as error:
            assert "cannot be decoded" in str(error)  # noqa: PT017
    for size in (4, 100, len(data) // 2, len(data) - 1):
        with pytest.raises(ValueError, match="cannot be decoded"):
            sound.decode(data[:size])


@pytest.mark.parametrize("number", [1, 2])
def test_samples_that_look_like_the_head_of_a_frame_are_samples(number: int) -> None:
    """FFmpeg's demuxer would divide the second frame here, and lose the sound."""
    noise = np.random.default_rng(0).integers(-(2**15), 2**15, 25_600).astype(np.int16)
    written = sound.encode(noise)
    heads = [at for at in range(42, len(written)) if written.startswith(b"\xff\xf8\xc7", at)]
    head = np.frombuffer(written[heads[number] : heads[number] + 8], ">i2")
    noise[5_000:5_004] = head.astype(np.int16)
    assert np.array_equal(sound.decode(sound.encode(noise)), noise)
