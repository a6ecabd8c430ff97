from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from pipeline.errors import UserError, reading


def read(path: Path) -> int:
    with reading(path, "split", "no counts"):
        return int(json.loads(path.read_text())["clips"])


def test_what_is_missing_names_the_stage_that_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "stats.json"
    with pytest.raises(UserError, match=r"stats\.json: missing; run dvc repro split or dvc pull"):
        read(path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"clips": "many"}', '{"clips": null}'])
def test_what_is_damaged_says_what_it_should_be(tmp_path: Path, text: str) -> None:
    path = tmp_path / "stats.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"stats\.json: no counts \(.*\); run dvc repro split"):
        read(path)


def test_a_sentence_for_the_user_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^holds no sample$"), reading(tmp_path, "embed"):
        raise UserError("holds no sample")


def test_a_full_disk_is_no_fault_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"), reading(tmp_path, "pack"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_fault_of_the_code_is_none_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), reading(tmp_path, "embed"):
        _ = 1 / 0
