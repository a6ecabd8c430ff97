from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from pipeline.store import provenance


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of two modules in a repository of its own."""
    folder = tmp_path / "repository" / "pipeline"
    folder.mkdir(parents=True)
    for name in ("one", "two"):
        (folder / f"{name}.py").write_text(name)
    git(folder.parent, "init", "-q")
    git(folder.parent, "add", "-A")
    git(folder.parent, "commit", "-qm", "first")
    monkeypatch.setattr(provenance, "PACKAGE", folder)
    monkeypatch.setattr(provenance, "code_sha256", lambda *places: " ".join(places))
    return folder


def test_the_commit_is_the_latest_that_changed_the_code(package: Path) -> None:
    first = git(package, "rev-parse", "HEAD")
    (package / "two.py").write_text("2")
    git(package.parent, "commit", "-qam", "second")
    second = git(package, "rev-parse", "HEAD")
    (package.parent / "README.md").write_text("words")
    git(package.parent, "add", "-A")
    git(package.parent, "commit", "-qm", "third")
    assert provenance.facts("one.py")["git"] == {"commit": first, "clean": True}
    assert provenance.facts("one.py", "two.py")["git"] == {"commit": second, "clean": True}
    assert provenance.facts()["git"] == {"commit": second, "clean": True}


def test_what_is_not_committed_is_told_of_these_files_alone(package: Path) -> None:
    (package / "two.py").write_text("changed")
    assert provenance.facts("one.py")["git"]["clean"]
    assert not provenance.facts("two.py")["git"]["clean"]
    assert not provenance.facts()["git"]["clean"]


def test_without_a_repository_there_is_no_commit(package: Path) -> None:
    shutil.rmtree(package.parent / ".git")
    assert provenance.facts()["git"] is None


def test_a_package_that_a_repository_does_not_know_has_no_commit(package: Path) -> None:
    git(package.parent, "rm", "-rq", "--cached", "pipeline")
    (package.parent / ".gitignore").write_text("pipeline\n")
    git(package.parent, "add", "-A")
    git(package.parent, "commit", "-q", "--amend", "-m", "without")
    assert provenance.facts()["git"] is None


def test_versions_are_those_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "LIBRARIES", ("numpy", "no-such-library"))
    assert provenance.libraries() == {"numpy": version("numpy")}


def test_the_hash_is_that_of_these_files_or_of_all(package: Path) -> None:
    assert provenance.facts("one.py")["code_sha256"] == "one.py"
    assert provenance.facts()["code_sha256"] == "."
