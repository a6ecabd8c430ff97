from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.learn import encoders
from tests.commands.adapt.toy import Tiny, adapted_to, rows, write_detector


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "build", lambda pictures: Tiny())
    monkeypatch.setattr(encoders, "rebuild", lambda architecture: Tiny())


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detector")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "build", lambda pictures: Tiny())
        write_detector(folder)
    return folder


@pytest.fixture
def detector(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture(scope="session")
def done(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that was adapted to own files; leave it as it is."""
    folder = tmp_path_factory.mktemp("done")
    shutil.copytree(written, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "build", lambda pictures: Tiny())
        patch.setattr(encoders, "rebuild", lambda architecture: Tiny())
        adapted_to(folder, rows("real", "game", "film"))
    return folder
