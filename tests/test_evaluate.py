from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from evaluate import run
from pipeline import app
from pipeline.assess import lineage, registry
from pipeline.commands import verify
from pipeline.commands.evaluation.outputs import report_folder
from pipeline.config import ClipFormat
from pipeline.detect import clips, operating_point
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow
from pipeline.learn import weights
from pipeline.learn.memory import Memory
from pipeline.learn.model_card import CARD
from pipeline.store import manifest, shards, video, workdir
from pipeline.store.packed_samples import INDEX, Packed
from tests import packing
from tests.conftest import compose_below, write_collection
from tests.learn.networks.nets import small_flash
from tests.staged import evaluate_project

Compose = Callable[..., Any]
CLIP = ClipFormat(num_frames=4, size=32, fps=15.0, crf=18)
SMALL = ("num_bootstrap=20", "num_mistakes=2", "num_bins=4", "suites=[]", "run.wandb=disabled")
SMALL_CLIPS = ("ingest.clip.num_frames=4", "ingest.clip.size=32", "ingest.stride_frames=4")


def write_model(folder: Path, sign: float = 1.0) -> None:
    """Weights whose logits are turned by `sign`."""
    network = small_flash(window=CLIP.num_frames)
    with torch.no_grad():
        for weight in list(network.parameters())[-2:]:
            weight *= sign
    folder.mkdir(parents=True)
    weights.save(
        folder,
        network,
        clip=CLIP,
        temperature=1.0,
        memory=Memory(answer_s=1.0, origin_s=10.0, lasting=0.5, discharge_s=0.3),
        provenance={},
    )


def write_packed(folder: Path, splits: tuple[str, ...]) -> None:
    """Two recordings of two clips for each class and split, and a variant of each clip."""
    rows = [
        {
            "sample_id": f"{split}-{origin}-{discharge}-{number}-{variant}",
            "clip_id": f"{split}-{origin}-{discharge}-{number}",
            "variant": "{}" if variant else None,
            "collection": "toy",
            "path": f"{number}.mp4",
            "source": f"{origin}-source",
            "origin": origin,
            "recording": f"toy/{split}-{origin}-{discharge}-{number // 2}",
            "cluster": "c",
            "split": split,
            "discharge": discharge,
            "start_s": 0.0,
            "licence": "CC0-1.0",
            "authority": "rendered by a test" if origin == "real" else "",
            "rendered": origin == "real",
        }
        for split in splits
        for origin in ("real", "game")
        for discharge in (0, 1)
        for number in range(4)
        for variant in (False, True)
    ]
    shape = (len(rows), CLIP.num_frames, CLIP.size, CLIP.size, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    packing.write_packed(folder, rows, list(frames), CLIP)
    (folder.parent / "clips").mkdir()
    manifest.write_rows(folder.parent / "clips" / manifest.FILES, manifest.File, [])


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_each_split_is_scored_on_its_original_clips_and_reported(
    tmp_path: Path, compose: Compose
) -> None:
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("train", "test", "unseen"))
    run(compose("evaluate", *SMALL))
    reports = tmp_path / "reports"
    table = pq.read_table(reports / "scores.parquet")
    assert table["split"].to_pylist() == ["test"] * 16 + ["unseen"] * 16
    assert table["sample_id"].to_pylist() == [f"{c}-False" for c in table["clip_id"].to_pylist()]
    metrics = json.loads((reports / "metrics.json").read_text())
    assert list(metrics["judged_sets"]) == ["test", "unseen"]
    found = metrics["judged_sets"]["test"]
    assert found["num_shootings_rendered"] == found["num_shootings"] == 4
    assert {path.name for path in (reports / "plots").iterdir()} == {"test", "unseen"}
    assert "rendered by a test" in (reports / "report.html").read_text()


@pytest.mark.parametrize(
    ("overrides", "folder", "key"),
    [
        ((), "reports", "paths.reports"),
        (("collection=unit7",), "collection_reports/unit7", "paths.collection_reports"),
        (("against=older",), "compared_reports/older/reports", "paths.compared_reports"),
    ],
)
def test_a_folder_of_something_else_is_not_replaced_and_nothing_is_scored(
    tmp_path: Path, compose: Compose, overrides: tuple[str, ...], folder: str, key: str
) -> None:
    thesis = tmp_path / folder / "sub" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    told = rf"no output of evaluate \(such as sub/thesis\.txt\); .* give another {key}=…"
    # There are not even weights.
    with pytest.raises(UserError, match=told):
        run(compose("evaluate", *SMALL, *overrides))
    assert thesis.is_file()


def test_comparisons_of_two_models_with_one_have_folders_of_their_own(compose: Compose) -> None:
    folders = {
        report_folder(compose("evaluate", "against=older", f"paths.models={name}"))
        for name in ("models-a", "models-b", "models-a")
    }
    assert len(folders) == 2


def test_validation_is_kept_beside_what_is_judged(tmp_path: Path, compose: Compose) -> None:
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("val", "test"))
    run(compose("evaluate", *SMALL))
    table = pq.read_table(tmp_path / "reports" / "validation.parquet")
    assert table.schema.names == pq.read_schema(tmp_path / "reports" / "scores.parquet").names
    assert table["split"].to_pylist() == ["val"] * 16
    shutil.rmtree(tmp_path / "packed")
    shutil.rmtree(tmp_path / "clips")
    write_packed(tmp_path / "packed", ("test",))
    run(compose("evaluate", *SMALL))
    assert not (tmp_path / "reports" / "validation.parquet").exists()


def test_recordings_are_followed_and_long_ones_count_nowhere_else(
    tmp_path: Path, compose: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[str] = []
    play = clips.play

    def noted(detector: Detector, given: clips.Clips, **how: Any) -> Any:
        followed.extend(set(given.table["split"].to_pylist()))
        return play(detector, given, **how)

    monkeypatch.setattr(clips, "play", noted)
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("val", "val_long", "test", "test_long", "train"))
    overrides = [one for one in SMALL if not one.startswith("suites")]
    run(compose("evaluate", *overrides, "suites=[streams]"))
    reports = tmp_path / "reports"
    table = pq.read_table(reports / "long.parquet")
    assert table["split"].to_pylist() == ["test_long"] * 16 + ["val_long"] * 16
    assert set(pq.read_table(reports / "scores.parquet")["split"].to_pylist()) == {"test"}
    metrics = json.loads((reports / "metrics.json").read_text())
    assert list(metrics["judged_sets"]) == ["test"]
    assert list(metrics["suites"]["streams"]["judged_sets"]) == ["test", "test_long"]
    assert sorted(followed) == ["test", "test_long", "val", "val_long"]


def test_alerts_are_raised_on_what_is_said_at_any_frame_of_a_recording(
    tmp_path: Path, compose: Compose
) -> None:
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("test",))
    run(compose("evaluate", *SMALL))
    table = pq.read_table(tmp_path / "reports" / "scores.parquet")
    detector = Detector.load(tmp_path / "models")
    data = Packed.open(tmp_path / "packed", tmp_path / "work")
    given = clips.of_packed(data, data.select(["test"], variants=False))
    followed, _ = clips.play(detector, given)
    assert table["clip_id"].to_pylist() == followed["clip_id"].to_pylist()
    found, expected = (one["stream_score"].to_numpy() for one in (table, followed))
    assert found == pytest.approx(expected, rel=1e-4)
    assert not np.allclose(found, table["score"].to_numpy(), rtol=0.1)


def test_the_scores_are_those_of_the_weights_on_the_pixels(
    tmp_path: Path, compose: Compose
) -> None:
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("test",))
    run(compose("evaluate", *SMALL))
    data = Packed.open(tmp_path / "packed", tmp_path / "work")
    table = pq.read_table(tmp_path / "reports" / "scores.parquet")
    row = data.index["sample_id"].to_pylist().index(table["sample_id"][5].as_py())
    expected = Detector.load(tmp_path / "models").predict(np.stack([data.read(row).frames]))[0]
    found = [table[f"p_{name}"][5].as_py() for name in manifest.CLASSES]
    assert found == pytest.approx(expected, abs=1e-6)


def test_another_run_into_another_folder_gives_the_same_bytes(
    tmp_path: Path, compose: Compose
) -> None:
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("test",))
    run(compose("evaluate", *SMALL))
    run(compose("evaluate", *SMALL, f"paths.reports={tmp_path / 'elsewhere'}"))
    first = contents(tmp_path / "reports")
    assert first == contents(tmp_path / "elsewhere")
    assert str(tmp_path) not in first["report.html"].decode()


def test_a_missing_unseen_split_leaves_its_plots_empty_and_the_report_says_so(
    tmp_path: Path, compose: Compose
) -> None:
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("test",))
    run(compose("evaluate", *SMALL))
    roc = tmp_path / "reports" / "plots" / "unseen" / "roc.csv"
    assert roc.read_text() == "fpr,tpr\n"
    assert "No source was held out" in (tmp_path / "reports" / "report.html").read_text()


def test_an_empty_test_split_is_refused_and_earlier_reports_stay(
    tmp_path: Path, compose: Compose
) -> None:
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("train", "unseen"))
    (tmp_path / "reports").mkdir()
    for name in ("headline.json", "report.html"):
        (tmp_path / "reports" / name).write_text("{}")
    with pytest.raises(UserError, match=r"no clip in the split 'test'; give conf/split\.yaml"):
        run(compose("evaluate", *SMALL))
    assert contents(tmp_path / "reports") == {"headline.json": b"{}", "report.html": b"{}"}


def test_an_unknown_split_is_named(tmp_path: Path, compose: Compose) -> None:
    write_model(tmp_path / "models")
    with pytest.raises(UserError, match=r"splits .*tset.*name some of train, val, test, unseen"):
        run(compose("evaluate", "splits=[tset]"))


def test_clips_of_another_format_than_the_weights_are_refused(
    tmp_path: Path, compose: Compose
) -> None:
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("test",))
    other = ClipFormat(CLIP.num_frames, CLIP.size, 30.0, CLIP.crf)
    manifest.write_format(tmp_path / "packed", other)
    with pytest.raises(UserError, match=r"fps=30\.0.*trained on .*fps=15\.0"):
        run(compose("evaluate", *SMALL))


def test_every_file_of_a_collection_is_scored_or_rejected_with_a_reason(
    tmp_path: Path, compose: Compose
) -> None:
    write_model(tmp_path / "models")
    folder = tmp_path / "given" / "home"
    index = [
        IndexRow("street.mp4", "real", "phone", False, "CC0-1.0"),
        IndexRow("doom.mp4", "game", "doom", True, "CC0-1.0"),
        IndexRow("broken.mp4", "film", "film", False, "CC0-1.0"),
    ]
    write_collection(folder, index)
    (folder / "broken.mp4").write_bytes(b"no video")
    run(compose("evaluate", f"collection={folder}", *SMALL, *SMALL_CLIPS))
    reports = tmp_path / "collection_reports" / "home"
    files = {row["path"]: row for row in pq.read_table(reports / "files.parquet").to_pylist()}
    assert list(files) == [row.path for row in index]
    assert [row["status"] for row in files.values()] == ["scored", "scored", "rejected"]
    assert files["broken.mp4"]["reason"]
    clips = pq.read_table(reports / "scores.parquet").to_pylist()
    of_doom = [clip for clip in clips if clip["path"] == "doom.mp4"]
    assert files["doom.mp4"]["num_clips"] == len(of_doom) > 1
    assert files["doom.mp4"]["score"] == max(clip["stream_score"] for clip in of_doom)
    assert [clip["score"] == clip["stream_score"] for clip in of_doom[:2]] == [True, False]
    assert {clip["discharge"] for clip in of_doom} == {None}
    metrics = json.loads((reports / "metrics.json").read_text())
    assert metrics["judged_sets"]["home"]["num_rejected"] == 1
    assert not (tmp_path / "reports").exists()


def test_files_that_training_had_are_named_in_the_log_and_on_the_page(
    tmp_path: Path, compose: Compose, caplog: pytest.LogCaptureFixture
) -> None:
    write_model(tmp_path / "models")
    folder = tmp_path / "given" / "home"
    index = [
        IndexRow("street.mp4", "real", "phone", False, "CC0-1.0"),
        IndexRow("new.mp4", "real", "phone", False, "CC0-1.0"),
        IndexRow("doom.mp4", "game", "doom", True, "CC0-1.0"),
    ]
    write_collection(folder, index)
    asked = compose("evaluate", f"collection={folder}", *SMALL, *SMALL_CLIPS)
    run(asked)
    reports = tmp_path / "collection_reports" / "home"
    assert (
        "training had any of these files could not be told" in (reports / "report.html").read_text()
    )
    assert "not told whether training had any of the files" in caplog.text
    clips = tmp_path / "work" / "evaluate" / "home"
    first = {clip.path: clip for clip in reversed(manifest.read_manifest(clips))}
    split_of = {"street.mp4": "train", "doom.mp4": "test"}
    text = ("sample_id", "clip_id", "recording", "cluster", "source", "origin", "licence")
    rows = [
        dict.fromkeys((*text, "collection", "authority"), "")
        | {"variant": None, "path": path, "split": split, "discharge": 0, "start_s": 0.0}
        for path, split in split_of.items()
    ]
    frames = [video.decode(shards.read_clip(clips, first[path])) for path in split_of]
    packing.write_packed(tmp_path / "packed", rows, frames, CLIP)
    card = tmp_path / "models" / CARD
    digest = workdir.file_sha256(tmp_path / "packed" / INDEX)
    card.write_text(
        json.dumps(json.loads(card.read_text()) | {"data": {"sha256": {INDEX: digest}}})
    )
    caplog.clear()
    run(asked)
    page = (reports / "report.html").read_text()
    assert "1 of 3 files was among the samples that training learned from" in page
    assert "so may be too good: street.mp4." in page
    assert "street.mp4: training had it" in caplog.text
    assert "doom.mp4: training had it" not in caplog.text
    told = json.loads((reports / "metrics.json").read_text())["judged_sets"]["home"]
    assert told["learned_from"] == ["street.mp4"]
    assert told["num_examples"] == 3


def test_a_collection_is_judged_at_the_operating_point_of_its_weights(
    tmp_path: Path, compose: Compose
) -> None:
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("val", "test"))
    run(compose("evaluate", *SMALL))
    point = json.loads((tmp_path / "reports" / "operating_point.json").read_text())
    # One that every clip alone reaches.
    point |= {"threshold": 0.0, "smoothing": "none"}
    (tmp_path / "reports" / "operating_point.json").write_text(json.dumps(point))
    folder = tmp_path / "given" / "home"
    shooting = IndexRow("street.mp4", "real", "phone", True, "CC0-1.0", discharges_s=(0.13,))
    write_collection(folder, [shooting])
    reports = tmp_path / "collection_reports" / "home"
    asked = (f"collection={folder}", *SMALL, *SMALL_CLIPS, "suites=[streams]")
    run(compose("evaluate", *asked))
    page = (reports / "report.html").read_text()
    assert "an alert rises in 1 of 1 files with a real shooting" in page
    seconds = pq.read_table(reports / "files.parquet")["alert_s"].to_pylist()
    assert seconds == [pytest.approx(CLIP.num_frames / CLIP.fps, abs=1e-6)]
    found = json.loads((reports / "metrics.json").read_text())["suites"]["streams"]
    assert found["operating_point"]["threshold"] == 0.0
    assert found["judged_sets"]["home"]["missed"]["value"] == 0.0
    (tmp_path / "reports" / "operating_point.json").write_text(
        json.dumps(point | {"weights_sha256": "0" * 64})
    )
    run(compose("evaluate", *asked))
    assert "is of other weights" in (reports / "report.html").read_text()
    assert pq.read_table(reports / "files.parquet")["alert_s"].to_pylist() == [None]
    assert not (reports / "operating_point.json").exists()


@pytest.mark.parametrize("suites", ["[]", "[floors]"])
def test_an_evaluation_of_some_suites_leaves_the_operating_point(
    tmp_path: Path, compose: Compose, suites: str
) -> None:
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("val", "test"))
    run(compose("evaluate", *SMALL, "suites=[streams]"))
    point = (tmp_path / "reports" / "operating_point.json").read_bytes()
    run(compose("evaluate", *SMALL, f"suites={suites}"))
    assert (tmp_path / "reports" / "operating_point.json").read_bytes() == point


def test_a_folder_without_an_index_is_refused(tmp_path: Path, compose: Compose) -> None:
    write_model(tmp_path / "models")
    with pytest.raises(UserError, match=r"index\.csv: missing"):
        run(compose("evaluate", f"collection={tmp_path}"))


def test_an_unknown_suite_is_named(tmp_path: Path, compose: Compose) -> None:
    with pytest.raises(UserError, match=r"suites: no suite shortcut; there are .*shortcuts"):
        run(compose("evaluate", "suites=[shortcut]"))


def test_another_model_is_set_beside_this_one(tmp_path: Path, compose: Compose) -> None:
    write_model(tmp_path / "models")
    write_model(tmp_path / "older", sign=-1.0)
    write_packed(tmp_path / "packed", ("test", "unseen"))
    run(compose("evaluate", *SMALL, f"against={tmp_path / 'older'}"))
    reports = tmp_path / "compared_reports" / "older" / "reports"
    found = json.loads((reports / "metrics.json").read_text())["suites"]["against"]
    assert set(found["judged_sets"]) == {"test", "unseen"}
    assert set(found["verdicts"]) == {
        f"{part}_{question}" for part in found["judged_sets"] for question in ("shooting", "origin")
    }
    auroc = found["judged_sets"]["test"]["shooting"]["auroc"]
    assert auroc["difference"]["value"] == pytest.approx(auroc["second"] - auroc["first"], abs=2e-6)
    assert "Against another model" in (reports / "report.html").read_text()
    assert not (tmp_path / "reports").exists()
    own, other = (
        pq.read_table(reports / name)
        for name in ("scores.parquet", "suites/against/scores.parquet")
    )
    assert other["sample_id"].equals(own["sample_id"])
    mean = (other["score"].to_numpy() - own["score"].to_numpy())[:16].mean()
    assert mean != 0
    _, hashes = lineage.read_lineage(reports)
    assert hashes[lineage.OTHER] == {
        name: workdir.file_sha256(tmp_path / "older" / name) for name in (weights.WEIGHTS, CARD)
    }


def test_the_files_of_a_collection_are_kept_as_the_other_model_scores_them(
    tmp_path: Path, compose: Compose
) -> None:
    write_model(tmp_path / "models")
    write_model(tmp_path / "older", sign=-1.0)
    folder = tmp_path / "given" / "home"
    index = [
        IndexRow("street.mp4", "real", "phone", False, "CC0-1.0"),
        IndexRow("doom.mp4", "game", "doom", True, "CC0-1.0"),
    ]
    write_collection(folder, index)
    against = f"against={tmp_path / 'older'}"
    run(compose("evaluate", f"collection={folder}", against, *SMALL, *SMALL_CLIPS))
    reports = tmp_path / "compared_reports" / "older" / "home"
    own, other = (
        pq.read_table(reports / name) for name in ("files.parquet", "suites/against/files.parquet")
    )
    assert other["path"].equals(own["path"])
    assert not other["score"].equals(own["score"])


def test_the_weights_of_a_revision_of_git_are_had_from_the_cache_of_dvc(
    tmp_path: Path, compose: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.repo import Repo

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
        subprocess.run(("git", *identity, *arguments), cwd=tmp_path, check=True)

    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)
    write_packed(tmp_path / "packed", ("test",))
    git("init", "--quiet")
    Repo.init(str(tmp_path))
    digests = []
    for sign in (1.0, -1.0):
        shutil.rmtree("models", ignore_errors=True)
        write_model(tmp_path / "models", sign)
        with Repo(str(tmp_path)) as repo:
            repo.add("models")
        git("add", ".dvc", "models.dvc", ".gitignore")
        git("commit", "--quiet", "--message", f"Train {sign}")
        digests.append(workdir.file_sha256(Path("models") / weights.WEIGHTS))
    run(compose("evaluate", *SMALL, "paths.models=models", "against=HEAD~1"))
    (reports,) = (tmp_path / "compared_reports").glob("*/reports")
    _, hashes = lineage.read_lineage(reports)
    assert hashes["models"][weights.WEIGHTS] == digests[1]
    assert hashes[lineage.OTHER][weights.WEIGHTS] == digests[0] != digests[1]
    first = pq.read_table(reports / "suites" / "against" / "scores.parquet")
    data = Packed.open(tmp_path / "packed", tmp_path / "work")
    row = data.index["sample_id"].to_pylist().index(first["sample_id"][5].as_py())
    write_model(tmp_path / "again")
    expected = Detector.load(tmp_path / "again").predict(np.stack([data.read(row).frames]))[0]
    found = [first[f"p_{name}"][5].as_py() for name in manifest.CLASSES]
    assert found == pytest.approx(expected, abs=1e-6)
    assert not list((tmp_path / "work").glob("models-*")), "what was fetched is gone"


def test_what_is_neither_a_model_nor_a_revision_is_refused(
    tmp_path: Path, compose: Compose
) -> None:
    write_model(tmp_path / "models")
    # Before anything is scored, and so also where nothing could be.
    with pytest.raises(UserError, match="against=nothing-such: neither a folder"):
        run(compose("evaluate", *SMALL, "against=nothing-such"))


def test_an_evaluation_is_recorded_without_a_frame(
    tmp_path: Path, compose: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(
        "pipeline.store.tracking.record_evaluation", lambda *args, **kwargs: told.update(kwargs)
    )
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("test",))
    run(compose("evaluate", *SMALL))
    headline = json.loads((tmp_path / "reports" / "headline.json").read_text())
    assert told["summary"]["test.auroc.value"] == headline["test"]["auroc.value"]
    header, rows = told["curves"]["test.roc"]
    assert header == ["fpr", "tpr"]
    assert rows[0] == [0.0, 0.0]
    assert rows[-1] == [1.0, 1.0]
    assert '<img src="data:image' in (tmp_path / "reports" / "report.html").read_text()
    assert '<img src="data:image' not in told["page"]
    assert "Is it a real shooting?" in told["page"]


@pytest.mark.slow
def test_an_evaluation_of_a_whole_project_leaves_everything_that_is_promised(
    whole_project: Path,
) -> None:
    reports = whole_project / "reports"
    found = json.loads((reports / "metrics.json").read_text())["suites"]
    assert list(found) == list(registry.SUITES)
    assert all(one["verdicts"] for one in found.values())
    page = (reports / "report.html").read_text()
    assert all(f'<section id="suite-{name}"' in page for name in found)
    stages = (app.PROJECT / "dvc.yaml").read_text()
    plots = re.findall(r"\$\{reports\}/(plots/\S+?|suites/\S+?): (\w+)", stages)
    assert len(plots) > 10
    for name, column in plots:
        rows = list(csv.DictReader((reports / name).read_text().splitlines()))
        assert rows, name
        assert column in rows[0], name
    for name in (operating_point.FILE, "model_card.md", "datasheet.md", "croissant.json"):
        assert (reports / name).stat().st_size > 200, name
    long = pq.read_table(reports / "long.parquet")
    assert set(long["split"].to_pylist()) == {"val_long", "test_long", "unseen_long"}
    assert found["data"]["clips"]["test_long"]
    verify.run(cfg=compose_below(whole_project, "ingest"))


@pytest.mark.slow
def test_the_outputs_of_real_runs_are_recognised(whole_project: Path) -> None:
    for output in workdir.OUTPUTS.values():
        folder = whole_project / output.key.removeprefix("paths.")
        if output.writer not in ("synthesize", "adapt", "export", "join"):
            assert any(path.is_file() for path in folder.rglob("*"))
            assert output.stranger(folder) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.SUITES)
def test_each_suite_alone_says_what_it_says_among_all(
    whole_project: Path, tmp_path: Path, name: str
) -> None:
    told = json.loads((whole_project / "reports" / "metrics.json").read_text())["suites"][name]
    reports = tmp_path / "alone"
    evaluate_project(whole_project, f"suites=[{name}]", f"paths.reports={reports}")
    found = json.loads((reports / "metrics.json").read_text())["suites"]
    assert found == {name: told}
    point = (whole_project / "reports" / operating_point.FILE).read_bytes()
    assert (reports / operating_point.FILE).read_bytes() == point
    assert (reports / "model_card.md").exists() == (name == "data")


def test_a_report_on_the_same_scores_has_the_same_bytes_and_asks_the_detector_nothing(
    tmp_path: Path, compose: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "models")
    write_packed(tmp_path / "packed", ("val", "test"))
    asked = compose("evaluate", *SMALL, "suites=[attribution]")
    run(asked)
    first = contents(tmp_path / "reports")

    def refuse(self: Detector, *given: np.ndarray) -> np.ndarray:
        raise AssertionError("asked again")

    monkeypatch.setattr(Detector, "predict", refuse)
    run(asked)
    assert contents(tmp_path / "reports") == first
    shutil.rmtree(tmp_path / "work" / "kept")
    with pytest.raises(AssertionError, match="asked again"):
        run(asked)
    assert contents(tmp_path / "reports") == first
