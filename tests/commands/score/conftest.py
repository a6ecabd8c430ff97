from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from pipeline.detect.detector import Detector
from pipeline.learn import encoders, weights
from tests.commands.adapt.toy import Tiny, write_detector


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "rebuild", lambda architecture: Tiny())


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("to-score-with")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "build", lambda pictures: Tiny())
        patch.setattr(encoders, "rebuild", lambda architecture: Tiny())
        write_detector(folder)
        _answering(folder / "models")
    return folder


def _answering(models: Path) -> None:
    """Give the answer on the discharge, which is untrained there, another value for every clip."""
    detector = Detector.load(models)
    head = detector.network.get_submodule("discharge.head")
    generator = torch.Generator().manual_seed(0)
    for one in head.parameters():
        one.data = torch.randn(one.shape, generator=generator)
    card = detector.card
    names = ("config", "encoders", "data", "metrics")
    weights.save(
        models,
        detector.network,
        clip=card.clip,
        temperature=card.temperature,
        memory=card.memory,
        provenance={name: card.everything[name] for name in names},
    )


@pytest.fixture
def project(written: Path, tmp_path: Path) -> Path:
    """A folder with a detector in it."""
    shutil.copytree(written / "models", tmp_path / "models")
    return tmp_path
