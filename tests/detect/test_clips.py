from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import App
from pipeline.detect import clips
from pipeline.footage.collection import IndexRow, write_index
from pipeline.footage.tombstones import forgotten
from pipeline.stages.ingest import ingest
from pipeline.store.manifest import ABSENT, PRESENT
from pipeline.store.packed import Packed
from tests.conftest import moving_frames
from tests.learn.toy import write_toy
from tests.made import write_video, write_with_sound


def test_packed_samples_are_read_with_their_sound_and_known_by_both(tmp_path: Path) -> None:
    packed = Packed.open(
        write_toy(tmp_path / "packed", num_train=4, num_val=2, heard=True), tmp_path
    )
    found = clips.of_packed(packed, np.array([3, 2]))
    heard, silent = found.read(0), found.read(1)
    assert np.array_equal(heard.sound, packed.read(3).sound)
    assert heard.sound.any()
    assert not silent.sound.any()
    row = packed.index.slice(3, 1).to_pylist()[0]
    assert found.samples[0] == f"{row['sha256']} {row['sound_sha256']}"
    assert found.samples[1] == packed.index["sha256"][2].as_py()


@pytest.mark.parametrize("is_on", [True, False])
def test_files_that_are_only_scored_are_heard_where_sound_is_on(
    compose: Callable[..., App], tmp_path: Path, is_on: bool
) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * 24_000) / 24_000)
    write_with_sound(
        folder / "a.mkv", moving_frames(0, 45), tone[None], codec="flac", rate=24_000, fps=15
    )
    write_video(folder / "b.mkv", moving_frames(1, 45), rate=15)
    write_index(
        folder,
        [IndexRow(f"{name}.mkv", "real", "cam", False, "CC0-1.0", recording=name) for name in "ab"],
    )
    cfg = compose("ingest", f"sound={is_on}")
    output = tmp_path / "out"
    nothing = forgotten(tmp_path / "none")
    ingest([str(folder)], str(output), cfg, tmp_path, cfg.run, nothing, as_shown=True)
    found = clips.of_ingested(output)
    read = {path: found.read(row) for row, path in enumerate(found.table["path"].to_pylist())}
    assert {path: one.presence for path, one in read.items()} == {
        "a.mkv": PRESENT if is_on else ABSENT,
        "b.mkv": ABSENT,
    }
    assert read["a.mkv"].sound.shape == (25_600,)
    assert read["a.mkv"].sound.any() == is_on
    assert not read["b.mkv"].sound.any()
    assert read["a.mkv"].frames.shape == (16, 128, 128, 3)
    assert len(set(found.samples)) == found.table.num_rows
