from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.manifest import CLASSES
from tests.learn.test_network import SMALL, small_net
from tests.learn.toy import FORMAT, toy_clip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    weights.save(
        tmp_path,
        small_net().state_dict(),
        SMALL,
        clip=FORMAT,
        temperature=2.0,
        provenance={"data": {"index.parquet": "0"}},
    )
    return tmp_path


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_probabilities_are_the_softmax_of_tempered_logits(model: Path) -> None:
    clips = np.stack([toy_clip(seed, seed) for seed in range(3)])
    detector = weights.load(model)
    logits = small_net().eval()(torch.from_numpy(clips))[:, -1].detach().double()
    probabilities = detector.predict(clips)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, (logits / 2).softmax(1).numpy(), atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(1), 1.0)
    assert probabilities.std() > 0.05


def test_the_card_says_what_the_weights_are(model: Path) -> None:
    detector = weights.load(model)
    assert detector.card["classes"] == list(CLASSES)
    assert detector.card["preprocessing"]["fps"] == 15.0
    assert detector.card["data"] == {"index.parquet": "0"}
    assert detector.sha256 == detector.card["weights_sha256"]


def test_saving_again_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    detector = weights.load(model)
    again = tmp_path / "again"
    again.mkdir()
    weights.save(
        again,
        dict(reversed(detector.network.state_dict().items())),
        SMALL,
        clip=FORMAT,
        temperature=2.0,
        provenance={"data": {"index.parquet": "0"}},
    )
    for name in (weights.WEIGHTS, weights.CARD):
        assert (again / name).read_bytes() == (model / name).read_bytes()


def test_clips_of_another_shape_are_refused(model: Path) -> None:
    with pytest.raises(UserError, match=r"\(4, 32, 32, 3\).* take uint8 \(8, 32, 32, 3\)"):
        weights.load(model).predict(np.zeros((1, 4, 32, 32, 3), np.uint8))


@pytest.mark.parametrize("name", [weights.WEIGHTS, weights.CARD])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(UserError, match=f"{name}: missing; run train.py"):
        weights.load(model)


@pytest.mark.parametrize("classes", [CLASSES[::-1], ("shooting", "other")])
def test_another_class_set_or_order_is_refused(model: Path, classes: tuple[str, ...]) -> None:
    edit(model / weights.CARD, classes=classes)
    with pytest.raises(UserError, match=f"weights of the classes {', '.join(classes)} instead"):
        weights.load(model)


def test_tensors_that_do_not_fit_are_refused(model: Path) -> None:
    card = json.loads((model / weights.CARD).read_text())
    edit(model / weights.CARD, architecture={**card["architecture"], "widths": [8, 8, 24]})
    with pytest.raises(UserError, match="does not fit the architecture"):
        weights.load(model)


def test_another_architecture_is_refused(model: Path) -> None:
    edit(model / weights.CARD, architecture={"name": "resnet"})
    with pytest.raises(UserError, match="architecture 'resnet'"):
        weights.load(model)


def test_weights_of_another_card_are_refused(model: Path) -> None:
    data = bytearray((model / weights.WEIGHTS).read_bytes())
    data[-1] ^= 1
    (model / weights.WEIGHTS).write_bytes(data)
    with pytest.raises(UserError, match="not the weights that model"):
        weights.load(model)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"architecture": 3}'])
def test_a_damaged_card_is_refused(model: Path, text: str) -> None:
    (model / weights.CARD).write_text(text)
    with pytest.raises(UserError, match="not a model card"):
        weights.load(model)


def test_a_card_without_a_field_names_it(model: Path) -> None:
    card = json.loads((model / weights.CARD).read_text())
    del card["temperature"]
    (model / weights.CARD).write_text(json.dumps(card))
    with pytest.raises(UserError, match="lacks temperature"):
        weights.load(model)
