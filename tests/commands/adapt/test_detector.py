from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.learn.model_card import CARD
from pipeline.learn.networks.members import Member, members_net
from pipeline.store import features, manifest
from tests.commands.adapt.toy import PICTURES, adapted_to, rows
from tests.learn.networks.nets import small_flash
from tests.learn.toy import FORMAT, write_toy


def test_weights_without_an_encoder_are_refused(detector: Path) -> None:
    weights.save(
        detector / "models",
        small_flash(),
        clip=FORMAT,
        temperature=1.0,
        provenance={},
    )
    with pytest.raises(UserError, match="the network 'flash' has no encoder"):
        adapted_to(detector, rows("real", "game"))


def test_a_joined_detector_is_refused_as_one(detector: Path) -> None:
    joined = members_net([Member(small_flash(), 1.0), Member(small_flash(), 1.0)])
    weights.save(detector / "models", joined, clip=FORMAT, temperature=1.0, provenance={})
    with pytest.raises(UserError, match="joined of several detectors; adapt a single one"):
        adapted_to(detector, rows("real", "game"))


def test_adapted_weights_are_not_adapted_again(done: Path) -> None:
    target = done / "adapted" / "own"
    with pytest.raises(UserError, match="adapted already, to “own”"):
        adapted_to(done, [], f"paths.models={target}", f"paths.adapted={done / 'twice'}")


def test_samples_of_another_training_are_refused(detector: Path) -> None:
    other = write_toy(detector / "other", num_train=16)
    with pytest.raises(UserError, match=r"not the samples that the weights in .* were trained on"):
        adapted_to(detector, rows("real", "game"), f"paths.packed={other}")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"provenance": [{"name": "another"}]}, "features of another encoder"),
        ({"pictures": PICTURES | {"every_frames": 2}}, "features of another encoder"),
        ({"first_frame": 0}, "features of another encoder"),
        ({"pictures": {}}, "features of another encoder"),
    ],
)
def test_features_of_another_encoder_are_refused(
    detector: Path, change: dict[str, Any], told: str
) -> None:
    path = detector / "features" / features.CARD
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=told):
        adapted_to(detector, rows("real", "game"))


def test_features_of_other_samples_or_none_are_refused(detector: Path) -> None:
    there = detector / "features"
    table = features.read_table(there)
    changed = table.set_column(1, "sha256", pa.array(["0" * 64] * table.num_rows))
    pq.write_table(changed.cast(features.INDEX_SCHEMA), there / features.INDEX)
    with pytest.raises(UserError, match=r"not of the samples in .*run dvc repro embed"):
        adapted_to(detector, rows("real", "game"))
    (there / features.CARD).unlink()
    manifest.write_stats(there, {"samples": {}})
    with pytest.raises(UserError, match="no encoder was asked for"):
        adapted_to(detector, [])


def test_a_folder_of_something_else_is_not_replaced(detector: Path) -> None:
    (detector / "adapted" / "own").mkdir(parents=True)
    (detector / "adapted" / "own" / "thesis.tex").write_text("years of work")
    with pytest.raises(
        UserError, match=r"no output of adapt \(such as thesis\.tex\); .*paths\.adapted="
    ):
        adapted_to(detector, rows("real", "game"))
    assert (detector / "adapted" / "own" / "thesis.tex").is_file()


def test_a_folder_that_cannot_be_is_named(detector: Path) -> None:
    (detector / "adapted").write_text("a file")
    with pytest.raises(UserError, match=r"adapted: no folder can be made.*paths\.adapted=…"):
        adapted_to(detector, rows("real", "game"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"config": None}, "config is null instead of an object"),
        ({"config": {"origin": []}}, r"config\.origin is a list instead of an object"),
        ({"config": {"origin": {}, "rendered_weight": {}}}, "config lacks 'penalty'"),
        ({"data": []}, "data is a list instead of an object"),
        ({"data": {}}, r"lacks data\.footage"),
        ({"data": {"footage": "none"}}, r"data\.footage is text instead of a list"),
        ({"data": {"footage": [1]}}, r"data\.footage: a row is a number instead of an object"),
        ({"encoders": None}, "encoders is null instead of a list"),
        ({"encoders": "dino"}, "encoders is text instead of a list"),
        ({"metrics": [0.5]}, "metrics is a list instead of an object"),
        ({"adapted": None}, "adapted is null instead of an object"),
    ],
)
def test_odd_cards_are_refused(detector: Path, changes: dict[str, Any], told: str) -> None:
    path = detector / "models" / CARD
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(UserError, match=rf"models/model\.json: {told}.*; run discern train again"):
        adapted_to(detector, rows("real", "game"))


@pytest.mark.parametrize("penalty", [None, "high", [8.0], {"at": 8.0}, -1, "${seed}"])
def test_settings_that_cannot_be_are_refused_with_the_name_of_the_card(
    detector: Path, penalty: Any
) -> None:
    path = detector / "models" / CARD
    card = json.loads(path.read_text())
    card["config"]["origin"]["penalty"] = penalty
    path.write_text(json.dumps(card))
    with pytest.raises(
        UserError, match=r"models/model\.json: config.*penalty.*run discern train again"
    ):
        adapted_to(detector, rows("real", "game"))


@pytest.mark.parametrize("card", ["null", "1", '["adapted"]', '{"adapted": null}', "no JSON"])
def test_a_folder_with_an_odd_card_is_not_replaced(detector: Path, card: str) -> None:
    folder = detector / "adapted" / "own"
    folder.mkdir(parents=True)
    (folder / CARD).write_text(card)
    with pytest.raises(UserError, match="own: holds files that are no output of adapt"):
        adapted_to(detector, rows("real", "game"))
    assert (folder / CARD).read_text() == card
