from __future__ import annotations

import io
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from pipeline.errors import UserError
from pipeline.live import piping
from pipeline.live.piping import Pipe

LINES = [bytes([48 + number % 10]) * 9_999 + b"\n" for number in range(40)]
"""More than a pipe holds."""


@pytest.fixture
def ends() -> Iterator[tuple[int, TextIO]]:
    """Where a pipe is read, and the file that writes into it."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out:
        yield reading, out
    os.close(reading)


def pipe_of(out: TextIO) -> Pipe:
    path = piping.pipe_of(out)
    assert path is not None
    return Pipe(path)


def read(reading: int, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += os.read(reading, size - len(found))
    return found


def test_lines_are_read_at_once_and_in_order(ends: tuple[int, TextIO]) -> None:
    pipe = pipe_of(ends[1])
    for number in range(3):
        pipe.put(b"%d\n" % number)
        assert read(ends[0], 2) == b"%d\n" % number
    pipe.finish(None)


def test_nobody_waits_for_a_reader_that_hangs_and_nothing_is_lost(
    ends: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(piping, "_SOON_S", 0.2)
    pipe, began = pipe_of(ends[1]), time.monotonic()
    with caplog.at_level(logging.WARNING):
        for line in LINES:
            pipe.put(line)
    assert time.monotonic() - began < 0.2 * len(LINES) / 2
    assert caplog.text.count("whoever reads events there has stopped") == 1
    finishing = threading.Thread(target=pipe.finish, args=(None,))
    finishing.start()
    whole = b"".join(LINES)
    assert read(ends[0], len(whole)) == whole
    finishing.join()


def test_what_waits_is_bounded(ends: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piping, "_SOON_S", 0.05)
    monkeypatch.setattr(piping, "_MOST_BYTES", 30_000)
    pipe, num_put = pipe_of(ends[1]), list[int]()

    def put() -> None:
        for line in LINES:
            pipe.put(line)
            num_put.append(len(line))

    putting = threading.Thread(target=put)
    putting.start()
    putting.join(1.0)
    assert putting.is_alive()
    assert sum(num_put) < 300_000
    whole = b"".join(LINES)
    assert read(ends[0], len(whole)) == whole
    putting.join()
    pipe.finish(None)


def test_at_an_early_end_a_reader_that_hangs_is_not_waited_for(
    ends: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(piping, "_SOON_S", 0.05)
    path = piping.pipe_of(ends[1])
    assert path is not None

    def interrupted() -> None:
        with piping.piped(path, 0.1) as pipe:
            for line in LINES:
                pipe.put(line)
            raise KeyboardInterrupt

    with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "events were not read" in caplog.text


def test_a_reader_that_has_gone_is_told_of(ends: tuple[int, TextIO]) -> None:
    pipe, other = pipe_of(ends[1]), os.dup(ends[0])
    os.dup2(os.open(os.devnull, os.O_RDONLY), ends[0])
    os.close(other)
    with pytest.raises(UserError, match="stdout: nobody reads events there any more; nothing is"):
        pipe.put(b"1\n")
    with pytest.raises(UserError, match="nobody reads"):
        pipe.finish(None)


def test_a_named_pipe_that_nobody_opened_is_told_of(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "named")
    with pytest.raises(UserError, match="nobody reads"):
        Pipe(tmp_path / "named")


def test_files_and_what_is_no_file_are_no_pipes() -> None:
    assert piping.pipe_of(io.StringIO()) is None
    with open(os.devnull, "w") as out:
        assert piping.pipe_of(out) is None
