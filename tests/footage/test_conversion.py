from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import ClipFormat
from pipeline.errors import UserError
from pipeline.footage import conversion
from pipeline.footage.canonical import Canonical
from pipeline.footage.conversion import FileTask, Unusable
from pipeline.footage.foreign import DecodingLimits
from pipeline.store.finished_work import read_piece, write_piece
from tests.conftest import moving_frames
from tests.made import write_video

CLIP = ClipFormat(num_frames=8, size=32, fps=15.0, crf=18)


def task(folder: Path, path: str) -> FileTask:
    limits = DecodingLimits(max_pixels=10**6, max_duration_s=60.0, max_output_mb=10)
    return FileTask(str(folder), path, CLIP, 8, limits, folder / "work")


def convert(folder: Path, path: str) -> Canonical | Unusable:
    with conversion.at_hand(task(folder, path)) as here:
        return conversion.convert(here)


def test_what_is_kept_of_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_frames(1, 60), rate=30)
    made = convert(tmp_path, "a.mp4")
    assert isinstance(made, Canonical)
    assert len(made.windows) == 3
    write_piece(tmp_path / "piece", conversion.packed_up(made))
    piece = read_piece(tmp_path / "piece")
    assert piece is not None
    back = conversion.unpacked(piece)
    assert isinstance(back, Canonical)
    assert replace(back, windows=()) == replace(made, windows=())
    for one, other in zip(back.windows, made.windows, strict=True):
        assert np.array_equal(one.fingerprint, other.fingerprint)
        names = [f.name for f in fields(one) if f.name != "fingerprint"]
        assert [getattr(one, n) for n in names] == [getattr(other, n) for n in names]


def test_a_reject_is_kept_where_the_bytes_are_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"rubbish")
    made = convert(tmp_path, "a.mp4")
    assert isinstance(made, Unusable)
    assert made.is_lasting
    assert conversion.unpacked(conversion.packed_up(made)) == made
    missing = convert(tmp_path, "absent.mp4")
    assert missing == Unusable("missing_file", "no such file", is_lasting=False)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("a.mp4", "folder/b.mp4", True),
        ("a.mp4", "a.mkv", False),
        ("a%d.png", "b%d.png", False),
    ],
)
def test_of_a_name_only_what_readers_look_at_matters(
    tmp_path: Path, one: str, other: str, alike: bool
) -> None:
    names = {conversion.piece_name(task(tmp_path, path), "0" * 64, []) for path in (one, other)}
    assert (len(names) == 1) == alike


def test_settings_that_make_other_clips_have_another_name(tmp_path: Path) -> None:
    first = task(tmp_path, "a.mp4")
    others = [
        first,
        replace(first, stride_frames=4),
        replace(first, as_shown=True),
        replace(first, clip=replace(CLIP, crf=20)),
        replace(first, limits=replace(first.limits, max_pixels=10)),
    ]
    assert len({conversion.piece_name(one, "0" * 64, []) for one in others}) == 5
    elsewhere = replace(first, root="elsewhere", work=tmp_path / "other")
    assert conversion.piece_name(elsewhere, "0" * 64, []) == conversion.piece_name(
        first, "0" * 64, []
    )


def test_what_nobody_foresaw_costs_one_file_and_names_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(path: Path, *args: object, **kwargs: object) -> Canonical:
        raise ZeroDivisionError(f"of {path}")

    write_video(tmp_path / "a.mp4", moving_frames(1, 60), rate=30)
    monkeypatch.setattr(conversion, "canonicalise", fails)
    made = convert(tmp_path, "a.mp4")
    assert isinstance(made, Unusable)
    assert made.reason == "unforeseen"
    assert made.detail.startswith("ZeroDivisionError in test_conversion.py, line ")
    assert not made.is_lasting
    assert "please report this" in caplog.text


@pytest.mark.parametrize("error", [MemoryError(), UserError("no space left")])
def test_what_is_no_fault_of_the_file_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*args: object, **kwargs: object) -> Canonical:
        raise error

    write_video(tmp_path / "a.mp4", moving_frames(1, 60), rate=30)
    monkeypatch.setattr(conversion, "canonicalise", fails)
    with pytest.raises(type(error)):
        convert(tmp_path, "a.mp4")
