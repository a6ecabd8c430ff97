from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.learn import encoders
from tests.commands.adapt.toy import Tiny, write_detector


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "rebuild", lambda architecture: Tiny())


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("to-score-with")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "build", lambda pictures: Tiny())
        write_detector(folder)
    return folder


@pytest.fixture
def project(written: Path, tmp_path: Path) -> Path:
    """A folder with a detector in it."""
    shutil.copytree(written / "models", tmp_path / "models")
    return tmp_path
