from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.assess.audit import derivation
from pipeline.assess.page import adaptation
from pipeline.commands import adapt
from pipeline.commands.adapt import footage
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.footage import conversion
from pipeline.footage.collection import IndexRow, write_index
from pipeline.learn import weights
from pipeline.learn.model_card import CARD
from pipeline.store import video
from pipeline.store.output_files import LEARNING_CURVE, METRICS, REPORT
from pipeline.store.packed_samples import Packed
from tests.commands.adapt.toy import adapted_to, configured, contents, rows, write_own


def test_weights_learn_what_training_never_saw_and_those_before_stay(
    done: Path, written: Path
) -> None:
    target = done / "adapted" / "own"
    assert contents(done / "models") == contents(written / "models")
    assert set(contents(target)) == {
        *("model.safetensors", "encoder.safetensors", "model.json"),
        *("report.html", "learning_curve.csv", "metrics.json"),
    }
    clips = [
        video.decode((done / "own" / f"{o}-0-0.mp4").read_bytes())[:8] for o in ("real", "game")
    ]
    real = [
        Detector.load(folder).predict(np.stack(clips))[:, [0, 2]].sum(1)
        for folder in (done / "models", target)
    ]
    assert real[0].min() > 0.5, "the game is taken for real before"
    assert real[1][0] > 0.5 > real[1][1]


def test_only_the_answer_on_the_origin_changes(done: Path) -> None:
    target = done / "adapted" / "own"
    was, now = (Detector.load(folder).network.state_dict() for folder in (done / "models", target))
    differing = {name for name in was if not torch.equal(was[name], now[name])}
    assert differing == {
        "origin.layer.weight",
        "origin.layer.bias",
    }
    encoder = weights.ENCODER_WEIGHTS
    assert (target / encoder).read_bytes() == (done / "models" / encoder).read_bytes()


def test_the_card_says_what_was_added_and_to_what(detector: Path) -> None:
    target = adapted_to(detector, rows("real", "game"), "weight=3")
    was, now = (json.loads((folder / CARD).read_text()) for folder in (detector / "models", target))
    footage_rows = now["data"]["footage"]
    assert footage_rows[: len(was["data"]["footage"])] == was["data"]["footage"]
    added = footage_rows[len(was["data"]["footage"]) :]
    assert [row["source"] for row in added] == sorted(row.source for row in rows("real", "game"))
    assert {row["origin_weight"] for row in added} == {3.0}
    assert sum(row["train"] for row in added) == now["adapted"]["clips"]
    assert now["adapted"]["from_weights_sha256"] == was["weights_sha256"]
    assert now["adapted"]["collection"] == "own"
    assert now["metrics"]["val_auroc"] == 0.5
    assert now["config"] == was["config"]
    assert now["memory"] == was["memory"] is not None


def test_a_layer_that_is_kept_learned_from_nothing_that_was_added(detector: Path) -> None:
    target = adapted_to(detector, rows("real", "game"), "weight=0.001")
    was, now = (
        Detector.load(folder).network.state_dict() for folder in (detector / "models", target)
    )
    differing = {name for name in was if not torch.equal(was[name], now[name])}
    assert differing == {"origin.layer.bias"}
    card = json.loads((target / CARD).read_text())
    assert card["adapted"]["layer"] == "shifted"
    assert {row["origin_weight"] for row in card["data"]["footage"] if "adapted" in row} == {0.0}
    page = (target / REPORT).read_text()
    assert "<h1>No gain is shown" in page
    assert "So the layer before was kept" in page


def test_files_of_one_side_alone_change_no_answer(detector: Path) -> None:
    target = adapted_to(detector, rows("game"))
    was, now = (
        Detector.load(folder).network.state_dict() for folder in (detector / "models", target)
    )
    assert all(torch.equal(was[name], now[name]) for name in was)
    assert "the layer is as it was" in (target / REPORT).read_text()


def test_the_audit_does_not_look_for_what_was_added_among_the_samples(done: Path) -> None:
    index = Packed.open(done / "packed", done / "work").index
    told, here = derivation._trained_on(done / "adapted" / "own", index)
    assert told == here


def test_the_report_says_what_every_number_rests_on(done: Path) -> None:
    target = done / "adapted" / "own"
    told = json.loads((target / METRICS).read_text())
    assert told["files_by_origin"] == {"film": 4, "game": 4, "real": 4}
    assert told["sources"] == 12
    assert told["layer"] == "new"
    assert told["gain"]["all"]["value"] == 1.0
    for key in ("before", "sources_left_out"):
        assert set(told[key]) == {"all", "film", "game"}
        assert told[key]["all"]["num_fictional"] == 8
        assert told[key]["game"]["num_sources"] == 8
    assert told["sources_left_out"]["all"]["auroc"] == 1.0
    with (target / LEARNING_CURVE).open() as file:
        found = list(csv.DictReader(file))
    assert {row["files"] for row in found} == {"0", "4", "8"}
    assert {row["judged_sources"] for row in found if row["against"] == "all"} == {"4"}
    page = (target / REPORT).read_text()
    assert "AUROC 0.000 before and 1.000 by a new layer" in page
    assert "12 sources are fewer than 20: thin evidence" in page
    assert "<svg" in page
    assert page.count("real-0-0.mp4") == 1


def test_a_second_run_decodes_and_sees_nothing_and_gives_the_same_bytes(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = contents(done / "adapted" / "own")

    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(conversion, "convert", never)
    monkeypatch.setattr(footage, "features_of_views", never)
    assert contents(adapted_to(done, [], "run.num_workers=2")) == first


def test_a_file_that_changed_is_read_again(detector: Path) -> None:
    own = rows("real", "game")
    first = contents(adapted_to(detector, own))
    write_own(detector / "other", list(reversed(own)))
    (detector / "other" / own[0].path).rename(detector / "own" / own[0].path)
    assert contents(adapted_to(detector, own))["model.json"] != first["model.json"]


def test_files_of_one_side_are_learned_from_without_a_curve(detector: Path) -> None:
    target = adapted_to(detector, rows("real"))
    told = json.loads((target / METRICS).read_text())
    assert told["learning_curve"] == []
    assert told["sources_left_out"] == {}
    assert "All 4 files are real" in (target / REPORT).read_text()
    assert len((target / LEARNING_CURVE).read_text().splitlines()) == 1


def test_one_source_of_either_side_gives_no_curve(detector: Path) -> None:
    target = adapted_to(detector, rows("real", "game", sources=1, each=2))
    assert "Each side has one source only" in (target / REPORT).read_text()


def test_a_source_of_both_sides_is_warned_of(
    detector: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = [replace(row, source="same") for row in rows("real", "game")]
    with caplog.at_level("WARNING"):
        target = adapted_to(detector, own)
    assert "source 'same' names real and fictional files" in caplog.text
    assert json.loads((target / METRICS).read_text())["layer"] == "unchanged"


def test_rendered_and_broken_files_are_left_out_and_named(detector: Path) -> None:
    own = rows("real", "game")
    own[0] = replace(own[0], rendered=True)
    folder = write_own(detector / "own", own)
    (folder / own[1].path).write_bytes(b"no video")
    target = adapted_to(detector, own)
    told = json.loads((target / METRICS).read_text())
    assert (told["files"], told["rendered_files"], told["rejected_files"]) == (6, 1, 1)
    page = (target / REPORT).read_text()
    assert f"<li>{own[1].path}: " in page
    assert own[0].path not in page


def test_rendered_files_count_what_those_of_training_did(detector: Path) -> None:
    path = detector / "models" / CARD
    card = json.loads(path.read_text())
    card["config"]["rendered_weight"]["origin"] = 0.5
    path.write_text(json.dumps(card))
    own = rows("real", "game")
    own[0] = replace(own[0], rendered=True)
    target = adapted_to(detector, own, "weight=3")
    told = json.loads((target / METRICS).read_text())
    assert (told["files"], told["rendered_files"], told["rendered_weight"]) == (8, 1, 0.5)
    added = [
        row
        for row in json.loads((target / CARD).read_text())["data"]["footage"]
        if "adapted" in row
    ]
    assert {row["source"]: row["origin_weight"] for row in added} == {
        row.source: 1.5 if row is own[0] else 3.0 for row in own
    }
    assert (
        "1 file that a computer rendered, by the column rendered, counted 0.5 times as much"
        in (target / REPORT).read_text()
    )


def test_what_is_said_of_a_file_afterwards_does_not_rest_on_its_label(
    detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def render(told: Any, files: Sequence[adaptation.FileRow], left_out: Any) -> str:
        found.append({file.path: file.after for file in files})
        return ""

    monkeypatch.setattr(adaptation, "render", render)
    own = rows("real", "game")
    adapted_to(detector, own)
    own[0] = replace(own[0], origin="game")
    write_index(detector / "own", own)
    adapted_to(detector, own)
    assert found[1][own[0].path] == pytest.approx(found[0][own[0].path], abs=1e-9)
    assert found[1][own[1].path] != pytest.approx(found[0][own[1].path], abs=1e-9)


def test_no_more_clips_of_a_file_are_seen_than_asked_for(detector: Path) -> None:
    target = adapted_to(detector, rows("real", "game"), "clips_per_file=1")
    told = json.loads((target / METRICS).read_text())
    assert told["clips"] == told["files"] == 8


def test_text_of_an_index_cannot_act_on_the_page(detector: Path) -> None:
    own = [replace(row, source=f"<b>{row.source}\u202e") for row in rows("real", "game")]
    page = (adapted_to(detector, own) / REPORT).read_text()
    assert "<b>" not in page
    assert "\u202e" not in page


def test_an_interrupted_run_leaves_the_weights_of_the_one_before(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = contents(done / "adapted" / "own")

    def stopped(*args: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(adaptation, "render", stopped)
    with pytest.raises(KeyboardInterrupt):
        adapted_to(done, [], "weight=2")
    assert contents(done / "adapted" / "own") == first


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ([], "the index lists no file"),
        (
            [replace(row, rendered=True) for row in rows("real", "game")],
            "all of its files say in the column rendered that they were, ",
        ),
    ],
)
def test_a_collection_that_teaches_nothing_is_an_error(
    detector: Path, own: Sequence[IndexRow], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        adapted_to(detector, own)
    assert not (detector / "adapted" / "own").exists()


def test_a_collection_is_named_without_a_key(detector: Path) -> None:
    with pytest.raises(UserError, match="adapt takes the folder alone: /data/mine"):
        adapt.run("collection=/data/mine", cfg=configured(detector))


def test_a_folder_that_is_not_there_is_an_error(detector: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        adapt.run(str(detector / "nowhere"), cfg=configured(detector))


def test_a_collection_without_a_readable_file_is_an_error(detector: Path) -> None:
    folder = write_own(detector / "own", rows("real", sources=2))
    for path in folder.glob("*.mp4"):
        path.write_bytes(b"no video")
    with pytest.raises(UserError, match="no file of 2 became a clip"):
        adapted_to(detector, [])


def with_a_copy(folder: Path, origin: str, source: str) -> list[IndexRow]:
    """Own files, the last of which is the first once more, under another answer or source."""
    own = rows("real", "game", sources=2)
    own.append(replace(own[0], path="copy.mp4", origin=origin, source=source))
    write_own(folder / "own", own)
    (folder / "own" / "copy.mp4").write_bytes((folder / "own" / own[0].path).read_bytes())
    return own


def test_one_video_that_is_real_and_fictional_is_refused(detector: Path) -> None:
    own = with_a_copy(detector, "game", "elsewhere")
    with pytest.raises(
        UserError, match=r"own: real-0-0\.mp4 and copy\.mp4 show the same .* real .* game; correct"
    ):
        adapted_to(detector, own)


def test_one_video_of_two_sources_is_named(
    detector: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = with_a_copy(detector, "real", "elsewhere")
    with caplog.at_level("WARNING"):
        adapted_to(detector, own)
    (line,) = caplog.messages
    assert "real-0-0.mp4 and copy.mp4 show the same pictures, from source real-0-own" in line


def test_features_that_a_crash_left_in_part_are_made_again(done: Path, tmp_path: Path) -> None:
    folder = tmp_path / "done"
    shutil.copytree(done, folder)
    before = contents(folder / "adapted" / "own")
    kept = sorted((folder / "work" / "kept" / "adapt").glob("*/*"))
    kept[0].write_bytes(b"")
    kept[1].write_bytes(kept[1].read_bytes()[:-1])
    adapted_to(folder, [])
    assert contents(folder / "adapted" / "own") == before
