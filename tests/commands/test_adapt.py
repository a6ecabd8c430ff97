from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from pipeline import features, manifest, video
from pipeline.assess import adapted
from pipeline.assess.audit import made
from pipeline.collection import IndexRow, write_index
from pipeline.commands import adapt
from pipeline.commands.adapt import footage, judgement, record
from pipeline.config import TrainApp, tracked
from pipeline.errors import UserError
from pipeline.learn import encoders, weights
from pipeline.learn.data import PackedData
from pipeline.learn.encoders.base import Encoder
from pipeline.learn.networks.causal import CausalNet
from pipeline.learn.networks.product import product_of
from pipeline.learn.origin import fit_origin
from pipeline.packed import INDEX, Packed
from tests.conftest import compose_below
from tests.learn.toy import FORMAT, write_toy

EVERY = 4
PICTURES = {"name": "tiny", "size": 14, "every_frames": EVERY}
GREEN, GREY = (60, 160, 60), (110, 110, 110)


class Tiny(Encoder):
    """The mean colour of a frame, in shares of the brightest."""

    modality = "picture"
    num_features = 3
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.full((1,), 1 / 256))

    def forward(self, taken: Tensor) -> Tensor:
        colours: Tensor = taken.float().mean((1, 2)) * self.scale
        return colours

    def architecture(self) -> dict[str, Any]:
        return {"name": "tiny"}

    def provenance(self) -> dict[str, str]:
        return {"name": "tiny", "origin": "here", "licence": "CC0-1.0", "sha256": "0" * 64}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "build", lambda pictures: Tiny())
    monkeypatch.setattr(encoders, "rebuild", lambda architecture: Tiny())


def write_detector(folder: Path) -> None:
    """Packed samples, their features, and weights fitted to them: in training, real is reddish."""
    packed = Packed.open(write_toy(folder / "packed"), folder / "work")
    index = packed.index
    ids, sha256s = index["sample_id"].to_pylist(), index["sha256"].to_pylist()
    places = [
        {"sample_id": name, "sha256": sha256, "shard": "features-00000.npy", "row": row}
        for row, (name, sha256) in enumerate(zip(ids, sha256s, strict=True))
    ]
    looks = [
        Tiny()(torch.from_numpy(packed.read(row)[::EVERY])).half().numpy()
        for row in range(index.num_rows)
    ]
    there = folder / "features"
    there.mkdir()
    np.save(there / "features-00000.npy", np.stack(looks))
    pq.write_table(pa.Table.from_pylist(places, features.INDEX_SCHEMA), there / features.INDEX)
    card = {"architecture": Tiny().architecture(), "provenance": Tiny().provenance()}
    (there / features.CARD).write_text(json.dumps(card | {"pictures": PICTURES, "made_by": ""}))

    cfg = compose_below(folder, "train")
    assert isinstance(cfg, TrainApp)
    data = PackedData(packed, cfg, cfg.run)
    found = features.read(str(there), packed, folder / "work")
    assert found is not None
    eyes, _ = fit_origin(data, found, cfg)
    torch.manual_seed(0)
    pixels = CausalNet(
        widths=(8, 8),
        dilations=(1,),
        residual=False,
        dropout=0.0,
        window=FORMAT.num_frames,
        size=FORMAT.size,
    )
    network = product_of(pixels, eyes)
    (folder / "models").mkdir()
    weights.save(
        folder / "models",
        network.state_dict(),
        network.architecture(),
        clip=FORMAT,
        temperature=1.0,
        provenance={
            "config": tracked(cfg),
            "encoders": [Tiny().provenance()],
            "data": {"sha256": {INDEX: packed.index_sha256}, "footage": data.footage()},
            "metrics": {"val_origin_auroc": 1.0, "val_auroc": 0.5},
        },
    )


def rows(*origins: str, sources: int = 4, each: int = 1) -> list[IndexRow]:
    return [
        IndexRow(
            path=f"{origin}-{source}-{number}.mp4",
            origin=origin,
            source=f"{origin}-{source}-own",
            discharge=False,
            licence="CC0-1.0",
        )
        for origin in origins
        for source in range(sources)
        for number in range(each)
    ]


def write_own(folder: Path, own: Sequence[IndexRow]) -> Path:
    """Files of two clips in which real is green, which training never saw, and the rest grey."""
    folder.mkdir(parents=True)
    for seed, row in enumerate(own):
        colour = np.array(GREEN if row.origin == "real" else GREY)
        noise = np.random.default_rng(seed).integers(-9, 10, (20, 32, 32, 3))
        # A gradient, so that no picture is blank; a brightness that tells files apart.
        ramp = np.linspace(-40, 40, 32)[None, None, :, None] + seed % 5
        frames = np.clip(colour + ramp + noise, 0, 255).astype(np.uint8)
        (folder / row.path).write_bytes(video.encode(frames, 15))
    write_index(folder, own)
    return folder


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def done(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that was adapted to own files; leave it as it is."""
    folder = tmp_path_factory.mktemp("done")
    shutil.copytree(written, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "build", lambda pictures: Tiny())
        patch.setattr(encoders, "rebuild", lambda architecture: Tiny())
        adapted_to(folder, rows("real", "game", "film"))
    return folder


def configured(folder: Path, *overrides: str) -> Any:
    return compose_below(folder, "adapt", "ingest.stride_frames=8", "num_draws=2", *overrides)


def adapted_to(folder: Path, own: Sequence[IndexRow], *overrides: str) -> Path:
    """The folder of the weights."""
    collection = folder / "own"
    if not collection.exists():
        write_own(collection, own)
    adapt.run(str(collection), cfg=configured(folder, *overrides))
    return folder / "adapted" / "own"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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
        weights.load(folder).predict(np.stack(clips))[:, [0, 2]].sum(1)
        for folder in (done / "models", target)
    ]
    assert real[1][0] > real[0][0]
    assert real[1][0] > 0.5 > real[1][1]


def test_only_the_answer_on_the_origin_changes(done: Path) -> None:
    target = done / "adapted" / "own"
    was, now = (weights.load(folder).network.state_dict() for folder in (done / "models", target))
    differing = {name for name in was if not torch.equal(was[name], now[name])}
    assert differing == {"eyes.layer.weight", "eyes.layer.bias"}
    encoder = weights.ENCODER
    assert (target / encoder).read_bytes() == (done / "models" / encoder).read_bytes()


def test_the_card_says_what_was_added_and_to_what(detector: Path) -> None:
    target = adapted_to(detector, rows("real", "game"), "weight=3")
    was, now = (
        json.loads((folder / weights.CARD).read_text()) for folder in (detector / "models", target)
    )
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


def test_the_audit_does_not_look_for_what_was_added_among_the_samples(done: Path) -> None:
    index = Packed.open(done / "packed", done / "work").index
    told, here = made._trained_on(done / "adapted" / "own", index)
    assert told == here


def test_the_report_says_what_every_number_rests_on(done: Path) -> None:
    target = done / "adapted" / "own"
    told = json.loads((target / adapt.METRICS).read_text())
    assert told["files_by_origin"] == {"film": 4, "game": 4, "real": 4}
    assert told["sources"] == 12
    for key in ("before", "sources_left_out"):
        assert set(told[key]) == {"all", "film", "game"}
        assert told[key]["all"]["num_fictional"] == 8
        assert told[key]["game"]["num_sources"] == 8
    assert told["sources_left_out"]["all"]["auroc"] == 1.0
    with (target / adapt.CURVE).open() as file:
        found = list(csv.DictReader(file))
    assert {row["files"] for row in found} == {"0", "4", "8"}
    assert {row["judged_sources"] for row in found if row["against"] == "all"} == {"4"}
    page = (target / adapt.REPORT).read_text()
    assert "12 sources are fewer than 20: thin evidence" in page
    assert "<svg" in page
    assert page.count("real-0-0.mp4") == 1


def test_a_second_run_decodes_and_sees_nothing_and_gives_the_same_bytes(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = contents(done / "adapted" / "own")

    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(footage, "ingest", never)
    monkeypatch.setattr(footage, "look", never)
    assert contents(adapted_to(done, [], "run.num_workers=2")) == first


def test_a_file_that_changed_is_read_again(detector: Path) -> None:
    own = rows("real", "game")
    first = contents(adapted_to(detector, own))
    write_own(detector / "other", list(reversed(own)))
    (detector / "other" / own[0].path).rename(detector / "own" / own[0].path)
    assert contents(adapted_to(detector, own))["model.json"] != first["model.json"]


def test_files_of_one_side_are_learned_from_without_a_curve(detector: Path) -> None:
    target = adapted_to(detector, rows("real"))
    told = json.loads((target / adapt.METRICS).read_text())
    assert told["learning_curve"] == []
    assert told["sources_left_out"] == {}
    assert "All 4 files are real" in (target / adapt.REPORT).read_text()
    assert len((target / adapt.CURVE).read_text().splitlines()) == 1


def test_one_source_of_either_side_gives_no_curve(detector: Path) -> None:
    target = adapted_to(detector, rows("real", "game", sources=1, each=2))
    assert "Each side has one source only" in (target / adapt.REPORT).read_text()


def test_rendered_and_broken_files_are_left_out_and_named(detector: Path) -> None:
    own = rows("real", "game")
    own[0] = replace(own[0], authority="rendered by us")
    folder = write_own(detector / "own", own)
    (folder / own[1].path).write_bytes(b"no video")
    target = adapted_to(detector, own)
    told = json.loads((target / adapt.METRICS).read_text())
    assert (told["files"], told["rendered_files"], told["rejected_files"]) == (6, 1, 1)
    page = (target / adapt.REPORT).read_text()
    assert f"<li>{own[1].path}: " in page
    assert own[0].path not in page


def test_no_more_clips_of_a_file_are_seen_than_asked_for(detector: Path) -> None:
    target = adapted_to(detector, rows("real", "game"), "clips_per_file=1")
    told = json.loads((target / adapt.METRICS).read_text())
    assert told["clips"] == told["files"] == 8


def test_text_of_an_index_cannot_act_on_the_page(detector: Path) -> None:
    own = [replace(row, source=f"<b>{row.source}\u202e") for row in rows("real", "game")]
    page = (adapted_to(detector, own) / adapt.REPORT).read_text()
    assert "<b>" not in page
    assert "\u202e" not in page


def test_an_interrupted_run_leaves_the_weights_of_the_one_before(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = contents(done / "adapted" / "own")

    def stopped(*args: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(adapted, "render", stopped)
    with pytest.raises(KeyboardInterrupt):
        adapted_to(done, [], "weight=2")
    assert contents(done / "adapted" / "own") == first


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ([], "the index lists no file"),
        (
            [replace(row, authority="Rendered by us") for row in rows("real", "game")],
            "all of its files say in the column authority that they were rendered",
        ),
    ],
)
def test_a_collection_that_teaches_nothing_is_an_error(
    detector: Path, own: Sequence[IndexRow], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        adapted_to(detector, own)
    assert not (detector / "adapted" / "own").exists()


def test_a_folder_that_is_not_there_is_an_error(detector: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        adapt.run(str(detector / "nowhere"), cfg=configured(detector))


def test_a_collection_without_a_readable_file_is_an_error(detector: Path) -> None:
    folder = write_own(detector / "own", rows("real", sources=2))
    for path in folder.glob("*.mp4"):
        path.write_bytes(b"no video")
    with pytest.raises(UserError, match="no file of 2 became a clip"):
        adapted_to(detector, [])


def test_weights_without_an_encoder_are_refused(detector: Path) -> None:
    network = CausalNet(
        widths=(8, 8), dilations=(1,), residual=False, dropout=0.0, window=8, size=32
    )
    weights.save(
        detector / "models",
        network.state_dict(),
        network.architecture(),
        clip=FORMAT,
        temperature=1.0,
        provenance={},
    )
    with pytest.raises(UserError, match="the network 'causal' has no encoder"):
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
        ({"provenance": {"name": "another"}}, "features of another encoder"),
        ({"pictures": PICTURES | {"every_frames": 2}}, "features of another encoder"),
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
    with pytest.raises(UserError, match="exists and holds no adapted weights"):
        adapted_to(detector, rows("real", "game"))
    assert (detector / "adapted" / "own" / "thesis.tex").is_file()


def own_of(*origins: str, sources: int, each: int) -> footage.Own:
    files = rows(*origins, sources=sources, each=each)
    return footage.Own("own", files, [], np.arange(len(files)), None, [], 0)  # type: ignore[arg-type]


def test_no_source_is_both_drawn_and_judged_and_draws_spread_over_sources() -> None:
    own = own_of("real", "game", sources=6, each=3)
    for number in range(5):
        drawn = judgement._drawn(own, 7, number)
        out = set(own.sources[drawn.held_out])
        assert sorted(name.partition("-")[0] for name in out) == ["game", "game", "real", "real"]
        assert out.isdisjoint(own.sources[drawn.drawable])
        assert len(drawn.drawable) + drawn.held_out.sum() == len(own.files)
        assert len(set(own.sources[drawn.drawable[:8]])) == 8
    first, again = (judgement._drawn(own, 7, 0).drawable for _ in range(2))
    assert first.tolist() == again.tolist()


@pytest.mark.parametrize(
    ("most", "sizes"), [(2, [0, 2]), (4, [0, 4]), (6, [0, 4, 6]), (33, [0, 4, 8, 16, 32, 33])]
)
def test_sizes_double_up_to_all_that_can_be_drawn(most: int, sizes: list[int]) -> None:
    assert list(judgement._sizes(most)) == sizes


def test_files_that_were_not_judged_count_for_nothing() -> None:
    origins = np.array(["real", "real", "game", "film", "real"])
    sources = np.array(["a", "b", "c", "d", "e"])
    found = judgement.judge(np.array([2.0, 0.5, 1.0, -1.0, np.nan]), origins, sources)
    assert [(one.against, one.auroc, one.num_real, one.num_sources) for one in found] == [
        ("all", 0.75, 2, 4),
        ("film", 1.0, 2, 3),
        ("game", 0.5, 2, 3),
    ]
    assert found[0].found == 0.5
    assert judgement.judge(np.array([2.0, np.nan]), origins[1:3], sources[1:3]) == []


def test_the_curve_gives_mean_and_range_over_draws() -> None:
    points = [
        judgement.Point(4, draw, 3, judgement.Found("all", auroc, 0.5, 2, 3, 5))
        for draw, auroc in enumerate((0.5, 0.75, 1.0))
    ]
    (told,) = record._curve(points)
    assert told["auroc"] == {"mean": 0.75, "least": 0.5, "most": 1.0}
    assert (told["files"], told["draws"], told["num_sources"]["least"]) == (4, 3, 5)
