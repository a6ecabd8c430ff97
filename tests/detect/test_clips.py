from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.config import App
from pipeline.detect import clips
from pipeline.detect.answers import Answers
from pipeline.detect.clips import Clips
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, write_index
from pipeline.footage.ingestion import ingest
from pipeline.footage.tombstones import forgotten
from pipeline.learn import weights
from pipeline.learn.memory import Memory
from pipeline.store.finished_work import FinishedWork
from pipeline.store.manifest import ABSENT, CLASSES, PRESENT
from pipeline.store.packed_samples import Packed, Sample
from tests.conftest import moving_frames
from tests.learn.networks.nets import random_clips, small_flash
from tests.learn.toy import FORMAT, write_toy
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


CLIP_S = FORMAT.num_frames / FORMAT.fps
MEMORY = Memory(answer_s=CLIP_S, origin_s=2.0, lasting=0.5, discharge_s=0.2)


def following(folder: Path, memory: Memory | None = MEMORY) -> Detector:
    folder.mkdir()
    weights.save(folder, small_flash(), clip=FORMAT, temperature=2.0, memory=memory, provenance={})
    return Detector.load(folder)


def recordings(lengths: list[int], read: list[int]) -> Clips:
    """Some files of so many clips, the rows in drawn order; what is read is noted."""
    rows = [
        {
            **dict.fromkeys(("collection", "source", "licence", "authority"), "toy"),
            **{"path": f"{file}.mp4", "sample_id": f"{file}-{number}", "origin": "real"},
            **{"clip_id": f"{file}-{number}", "recording": f"toy/{file}", "discharge": 0},
            **{"start_s": number * CLIP_S, "rendered": False},
        }
        for file, length in enumerate(lengths)
        for number in range(length)
    ]
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    frames = random_clips(len(rows), FORMAT.num_frames).numpy()
    table = pa.Table.from_pylist([rows[row] for row in order], schema=clips.scores.CLIP_SCHEMA)

    def sample(row: int) -> Sample:
        read.append(row)
        return Sample(frames[order[row]], np.zeros(12_800, np.int16), ABSENT)

    return Clips(table, sample, [f"sample {row}" for row in order])


def test_files_are_followed_frame_by_frame_and_the_highest_score_of_a_clip_counts(
    tmp_path: Path,
) -> None:
    detector = following(tmp_path / "models")
    given = recordings([4, 1, 3], [])
    table, _ = clips.play(detector, given)
    at = {name: row for row, name in enumerate(table["clip_id"].to_pylist())}
    later = 0.0
    for file, length in enumerate([4, 1, 3]):
        stream, plain = detector.stream(1), following(tmp_path / f"plain {file}", None).stream(1)
        for number in range(length):
            row = at[f"{file}-{number}"]
            frames = given.read(row).frames
            summed = [stream.push(one[None])[0, 0] for one in frames][-1 if number == 0 else 0 :]
            alone = [plain.push(one[None])[0] for one in frames]
            found = table.slice(row, 1).to_pylist()[0]
            assert found["stream_score"] == pytest.approx(max(summed), abs=1e-5)
            assert [found[f"p_{name}"] for name in CLASSES] == pytest.approx(alone[-1], abs=1e-5)
            later = max(later, max(summed) - summed[-1])
    assert later > 0.01


def test_without_a_memory_the_highest_score_of_the_last_clip_counts(tmp_path: Path) -> None:
    table, _ = clips.play(following(tmp_path / "models", None), recordings([3, 2], []))
    found, alone = table["stream_score"].to_numpy(), table["score"].to_numpy()
    assert (found >= alone).all()
    assert (found > alone + 1e-3).any()


def test_what_was_said_of_a_file_is_kept_and_another_memory_asks_nothing_again(
    tmp_path: Path,
) -> None:
    detector, read = following(tmp_path / "models"), []
    given = recordings([3, 2], read)
    with FinishedWork(tmp_path, "score") as kept:
        answers = Answers(kept, detector.made_by())
        first, digest = clips.play(detector, given, answers=answers)
        assert sorted(read) == list(range(5))
        again, digest_again = clips.play(detector, given, answers=answers)
        assert again.equals(first)
        assert digest_again == digest
        other = following(tmp_path / "other", Memory(CLIP_S, 5.0, 0.1, 0.2))
        assert other.made_by() == detector.made_by()
        changed, _ = clips.play(other, given, answers=Answers(kept, other.made_by()))
    assert len(read) == 5
    assert changed["score"].equals(first["score"])
    assert not changed["stream_score"].equals(first["stream_score"])


def test_a_run_that_goes_on_follows_only_the_files_that_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = following(tmp_path / "models")
    given = recordings([3, 2, 2], [])
    expected, digest = clips.play(detector, given)

    def killed(files: Sequence[int]) -> Iterator[int]:
        yield from files[:2]
        raise KeyboardInterrupt

    with FinishedWork(tmp_path, "score") as kept:
        answers = Answers(kept, detector.made_by())
        with pytest.raises(KeyboardInterrupt):
            clips.play(detector, given, answers=answers, progress=killed)
        begun: list[int] = []
        begin = detector.stream
        monkeypatch.setattr(detector, "stream", lambda num: (begun.append(num), begin(num))[1])
        found, digest_then = clips.play(detector, given, answers=answers)
    assert begun == [1]
    assert found.equals(expected)
    assert digest_then == digest


def test_a_stream_that_says_no_numbers_is_refused_by_the_name_of_the_clip(tmp_path: Path) -> None:
    detector = following(tmp_path / "models")
    next(iter(detector.network.parameters())).data.fill_(np.nan)
    with pytest.raises(UserError, match=r"clip \d-\d: the model gives no probabilities"):
        clips.play(detector, recordings([2], []))
