"""What makes the tests themselves quick goes on doing so."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline import app
from tests import conftest

TESTS = app.PROJECT / "tests"


def asking_for(fixture: str) -> list[str]:
    """The modules with a test or a fixture that takes this one."""
    return [
        str(path.relative_to(app.PROJECT))
        for path in sorted(TESTS.rglob("test_*.py"))
        if re.search(rf"\bdef \w+\([^)]*\b{fixture}: ", path.read_text())
    ]


def test_all_who_ask_for_the_whole_project_get_the_same_one() -> None:
    asking = asking_for("whole_project")
    assert sorted(asking) == sorted(conftest._SHARED["whole_project"])


def test_a_collection_has_the_same_bytes_again_and_files_of_their_own(tmp_path: Path) -> None:
    first, again = (conftest.write_small_collection(tmp_path / name) for name in ("a", "b"))
    files = {path.name: path.read_bytes() for path in first.iterdir()}
    assert files == {path.name: path.read_bytes() for path in again.iterdir()}
    assert len(set(files.values())) == len(files)
    (first / "real-0-0.mp4").write_bytes(b"changed")
    assert (again / "real-0-0.mp4").read_bytes() == files["real-0-0.mp4"]
