from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import app
from pipeline.commands import join
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.learn.memory import Memory
from pipeline.learn.model_card import CARD
from tests.learn.networks.nets import random_clips, small_flash
from tests.learn.toy import FORMAT


def trained(folder: Path, seed: int, **facts: Any) -> str:
    """Weights as `train.py` leaves them."""
    folder.mkdir()
    network = small_flash()
    torch.manual_seed(seed)
    torch.nn.init.normal_(network.head.weight, std=2.0)
    told = {"config": {"seed": seed}, "encoders": [{"name": "dino"}], "metrics": {"epoch": seed}}
    told["data"] = {"sha256": {"index.parquet": "0"}, "footage": []}
    weights.save(folder, network, clip=FORMAT, temperature=1.5, provenance={**told, **facts})
    return str(folder)


def joined(folder: Path, *members: str, **keys: object) -> Path:
    overrides = [f"{key}={value}" for key, value in {"out": folder / "joined", **keys}.items()]
    cfg: Any = app.compose("join", f"paths.work={folder / 'work'}", *overrides)
    join.run(*members, cfg=cfg)
    return folder / "joined"


def test_joined_weights_answer_with_the_mean_of_the_answers(tmp_path: Path) -> None:
    members = [trained(tmp_path / str(seed), seed) for seed in (1, 2, 3)]
    clips = random_clips(4, FORMAT.num_frames).numpy()
    each = [Detector.load(Path(member)).predict(clips) for member in members]
    detector = Detector.load(joined(tmp_path, *members))
    np.testing.assert_allclose(detector.predict(clips), np.mean(each, axis=0), atol=1e-6)
    assert np.std(each, axis=0).max() > 0.1
    stream = detector.stream(4)
    for frames in clips.swapaxes(0, 1):
        answers = stream.push(frames)
    np.testing.assert_allclose(answers, np.mean(each, axis=0), atol=1e-5)


def test_the_card_tells_of_every_member(tmp_path: Path) -> None:
    members = [trained(tmp_path / str(seed), seed) for seed in (1, 2)]
    card = json.loads((joined(tmp_path, *members) / CARD).read_text())
    cards = [json.loads((Path(one) / CARD).read_text()) for one in members]
    assert [one["config"]["seed"] for one in card["members"]] == [1, 2]
    assert [one["weights_sha256"] for one in card["members"]] == [
        one["weights_sha256"] for one in cards
    ]
    assert card["data"] == cards[0]["data"]
    assert card["encoders"] == [{"name": "dino"}]


def test_the_same_members_give_the_same_bytes_again(tmp_path: Path) -> None:
    members = [trained(tmp_path / str(seed), seed) for seed in (1, 2)]
    first = {path.name: path.read_bytes() for path in joined(tmp_path, *members).iterdir()}
    again = {path.name: path.read_bytes() for path in joined(tmp_path, *members).iterdir()}
    assert first == again
    assert set(first) == {weights.WEIGHTS, CARD}


def test_weights_of_other_samples_or_adapted_ones_are_refused(tmp_path: Path) -> None:
    first = trained(tmp_path / "first", 1)
    other = trained(tmp_path / "other", 2, data={"sha256": {"index.parquet": "1"}})
    with pytest.raises(UserError, match=r"other/model\.json: data differs from that of .*first"):
        joined(tmp_path, first, other)
    longer = trained(tmp_path / "longer", 4)
    card = tmp_path / "longer" / CARD
    card.write_text(
        json.dumps(
            {**json.loads(card.read_text()), "memory": Memory(1.0, 5.0, 0.5, 0.3).architecture()}
        )
    )
    with pytest.raises(UserError, match=r"longer/model\.json: memory differs from that of .*first"):
        joined(tmp_path, first, longer)
    adapted = trained(tmp_path / "adapted", 3, adapted={"collection": "mine"})
    with pytest.raises(UserError, match=r"adapted/model\.json: adapted weights"):
        joined(tmp_path, first, adapted)
    assert not (tmp_path / "joined").exists()


def test_a_folder_is_asked_for_and_nothing_else_is_replaced(tmp_path: Path) -> None:
    members = [trained(tmp_path / str(seed), seed) for seed in (1, 2)]
    with pytest.raises(UserError, match="give out=<folder>"):
        joined(tmp_path, *members, out="null")
    (tmp_path / "joined").mkdir()
    (tmp_path / "joined" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"joined"):
        joined(tmp_path, *members)
    assert (tmp_path / "joined" / "thesis.txt").read_text() == "mine"
