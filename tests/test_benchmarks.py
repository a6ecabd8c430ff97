"""The benchmarks that prove something are run in small, so that they go on proving it."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline import app
from pipeline.config import App, ClipFormat, TrainApp
from pipeline.detect.files import FILE_SCHEMA
from pipeline.footage.collection import IndexRow
from pipeline.learn import networks
from pipeline.learn.classifier import Classifier
from pipeline.learn.data import PackedData
from pipeline.learn.trainer import make_trainer
from pipeline.stages import ingest
from pipeline.store import manifest
from pipeline.store.packed_samples import INDEX, Packed
from tests.assess import toy
from tests.commands.adapt.toy import own_of
from tests.commands.score.toy import CLIP
from tests.conftest import write_collection
from tests.learn.networks.nets import FRAMEWISE
from tests.learn.toy import FORMAT
from tests.live.made import write_model, write_model_of_flashes
from tests.made import write_video
from tests.packing import write_no_features

BENCHMARKS = app.PROJECT / "benchmarks"
PATIENT = "max_wait_s=600"
"""What keeps a watch on a machine that has other work from passing clips over."""


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(BENCHMARKS / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=app.PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_stages_killed_at_random_end_with_the_same_bytes() -> None:
    assert "4 kills, 0 with other bytes" in run("kill.py", "--kills", "4", "--files", "8")


@pytest.mark.slow
def test_a_change_of_a_collection_costs_what_has_changed_and_gives_the_bytes_of_a_new_run() -> None:
    printed = run("again.py", "--files", "6")
    assert printed.count("same bytes") == 4
    assert re.findall(r"times as fast, (\d) decoded", printed) == ["1", "0", "0", "0"]


@pytest.mark.slow
def test_loaders_are_compared_with_the_bound_files_and_originals() -> None:
    small = ("--clips", "64", "--rounds", "1", "--seconds", "0.3", "--seconds-of-original", "2")
    ratios = dict(re.findall(r"^  (\S+ / .+): ([\d.]+) \(", run("loader.py", *small), re.MULTILINE))
    assert {"raw / bound", "h264 / files", "raw / originals"} <= set(ratios)
    assert all(float(ratio) > 0 for ratio in ratios.values())


@pytest.mark.slow
def test_webhooks_are_called_after_a_clip_was_published(tmp_path: Path) -> None:
    models = str(write_model(tmp_path / "models"))
    printed = run("live.py", "--models", models, "--seconds", "8", PATIENT)
    found = dict(re.findall(r"^(\w+): \d+ alerts, median ([\d.]+) s", printed, re.MULTILINE))
    assert found.keys() == {"mpegts", "flv", "hls"}
    assert all(float(median_s) > 0 for median_s in found.values())


@pytest.mark.slow
def test_each_discharge_that_is_published_has_its_alert(tmp_path: Path) -> None:
    # Rendered scenes are far from the even pictures that it was made of.
    models = str(write_model_of_flashes(tmp_path / "models", surety=1.0))
    small = ("--quiet-s", "4", "--discharges", "2")
    printed = run("live_discharges.py", "--models", models, *small, PATIENT)
    # How soon it comes is for the page of results, from a machine that does nothing else.
    found = re.findall(
        r"^(\w+): 2 discharges, 2 alerts, ([012]) of them within 5 s, 0 wrong signatures\n"
        r"\1: .* median ([\d.]+) s, at most ([\d.]+) s; of it the protocol alone median (\S+) s",
        printed,
        re.MULTILINE,
    )
    import rtmp_server

    protocols = ["rtmp", "hls"] if rtmp_server.is_there() else ["hls"]
    assert [protocol for protocol, *_ in found] == protocols, printed
    for _, num_soon, median_s, most_s, alone_s in found:
        # The clock of files is read some milliseconds late.
        assert -0.01 <= float(alone_s) <= float(most_s)
        assert 0 < float(median_s) <= float(most_s)
        assert num_soon == "2" or float(most_s) >= 5


@pytest.mark.slow
def test_what_streams_cost_side_by_side_is_measured(tmp_path: Path) -> None:
    models = str(write_model(tmp_path / "models"))
    small = ("--streams", "2", "--seconds", "4", "--recording-s", "5")
    printed = run("live_many.py", "--models", models, *small)
    found = re.search(r"^2 streams (?:hold|do not hold): 2 began, (\d+) clips", printed, re.M)
    assert found is not None
    assert int(found[1]) > 0


@pytest.mark.slow
def test_what_a_stream_costs_is_measured_part_by_part(tmp_path: Path) -> None:
    models, out = str(write_model(tmp_path / "models")), tmp_path / "cost.json"
    small = ("--seconds", "4", "--rounds", "1", "--together", "2", "--out", str(out))
    printed = run("live_cost.py", "--models", models, *small)
    (table,) = json.loads(out.read_text())["tables"]
    cost = {name: ms for name, ms, *_ in table["rows"]}
    assert len(printed.splitlines()) == len(cost)
    *parts, whole = cost
    assert {"fetch", "decode pictures", "network"} <= {name for name in parts if cost[name] > 0}
    told = [cost[name] for name in parts if not name.startswith("hash")]
    assert cost[whole] == pytest.approx(sum(told), rel=0.1)


@pytest.mark.slow
def test_the_memory_of_a_watch_is_measured(tmp_path: Path) -> None:
    models = str(write_model(tmp_path / "models"))
    printed = run("live_memory.py", "--models", models, "--hours", "0.028", "--recording-s", "10")
    found = re.search(
        r"^0.03 hours in .*: watch (\d+) MB, then (\d+) MB .*; decoder (\d+) MB, then (\d+) MB",
        printed,
        re.MULTILINE,
    )
    assert found is not None
    before, after, decoder_before, decoder_after = map(int, found.groups())
    assert after < 1.1 * before
    assert decoder_after < 1.1 * decoder_before


@pytest.mark.slow
def test_no_alert_is_lost_where_processes_of_a_watch_are_killed(tmp_path: Path) -> None:
    models = str(write_model(tmp_path / "models"))
    printed = run("live_kills.py", "--models", models, "--kills", "5", "--seed", "1")
    assert printed.count("goes on after") == 5
    assert printed.splitlines()[-1].endswith("nothing lost")


@pytest.mark.slow
def test_scores_of_a_run_that_was_killed_have_the_same_bytes(tmp_path: Path) -> None:
    small = ("--only-many", "--files", "64", "--hostile", "10", "--rows-per-part", "8")
    few = ("--compared", "12", "--beside", "0")
    model = f"paths.models={write_model(tmp_path / 'models')}"
    printed = run("score.py", *small, *few, model, *CLIP)
    (row,) = re.findall(r"^{'files'.*", printed, re.MULTILINE)
    assert "'rows': 64" in row
    assert "'of equal bytes': 1," in row
    assert "'same bytes': 'yes'" in row


@pytest.mark.slow
def test_streams_get_the_answers_of_clips() -> None:
    printed = run("streams.py", "--seconds", "1", "--rounds", "1", "--streams", "2")
    assert printed.count("logits of stream and clip differ") == 2
    assert printed.splitlines()[-1].startswith("2 | ")


@pytest.mark.slow
def test_an_untrained_network_hears_discharges_and_no_doors(tmp_path: Path) -> None:
    out = tmp_path / "judge_sound.json"
    kinds = ("--kinds", "discharge", "door", "speech", "nothing")
    printed = run("judge_sound.py", "--clips", "24", *kinds, "--out", str(out))
    (found,) = re.findall(r"discharges found: ([\d.]+)%", printed)
    assert float(found) > 75
    assert "scores as gunshots in 10% or more" not in printed
    first = json.loads(out.read_text())["tables"][0]
    assert [row[0] for row in first["rows"]] == [*kinds[1:], "discharge, film mix"]


def test_every_weapon_is_judged_in_every_room_and_kinds_where_engines_have_them() -> None:
    from judge_sound import draw_scene

    from pipeline.engines.acoustics.room import ROOMS
    from pipeline.engines.acoustics.surroundings import AWAY_M, IN_THE_OPEN, NEAR_M
    from pipeline.engines.acoustics.weapons import WEAPONS

    drawn = [draw_scene("discharge", number, 0) for number in range(len(ROOMS) * len(WEAPONS))]
    assert len({(room, scene.events[0].weapon) for scene, room in drawn}) == len(drawn)
    for kind in IN_THE_OPEN:
        for number in range(12):
            scene, _ = draw_scene(kind, number, 0)
            assert scene.room.size_m is None
            near, far = AWAY_M.get(kind, NEAR_M)
            away = np.linalg.norm(scene.events[0].offset_m)
            assert near * 0.99 <= away <= far * 1.01


def test_shares_of_clips_have_intervals() -> None:
    from judge_sound import counted

    # As in tables of Wilson's interval: 9 of 10, and none of 10.
    assert counted([0.3] * 9 + [0.1], 0.2) == (90.0, "60 to 98")
    assert counted([0.1] * 10, 0.2) == (0.0, "0 to 28")


def test_a_recorded_sound_is_judged_by_its_loudest_moment_whatever_its_level_and_length() -> None:
    from judge_sound import window_of

    for seconds in (0.1, 4.0):
        for level in (0.01, 1.0):
            wave = np.zeros(round(16_000 * seconds))
            wave[800:900] = -level
            clip = window_of(wave)
            assert clip.shape == (round(16_000 * 25_600 / 24_000),)
            loud = np.flatnonzero(np.abs(clip) > 0.8)
            assert np.abs(loud / 16_000 - 0.35).max() < 0.021
            assert clip.min() == pytest.approx(-0.9, abs=1e-3)
            assert (clip != 0).all()


def test_a_spectrogram_shows_a_tone_where_it_is() -> None:
    from sound_sheets import spectrogram

    time_s = np.arange(24_000) / 24_000
    tone = np.where(time_s > 0.5, np.sin(2 * np.pi * 9000 * time_s), 0.0)
    shown = spectrogram((20_000 * tone).astype(np.int16), "")
    assert shown.shape == (150, 240, 3)
    bright = shown[:120].sum(axis=2, dtype=int)
    # 9 of 12 kHz, a quarter from the top, in the second half.
    assert bright[20:, 130:].max(axis=1).argmax() + 20 == pytest.approx(30, abs=3)
    assert bright[20:, :110].max() < 0.5 * bright[20:, 130:].max()


def test_a_sheet_of_a_collection_has_rows_with_and_without_discharges_and_tells_times_of_no_clip(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    from sound_sheets import of_collection

    row = IndexRow("a.mp4", "real", "s", True, "CC0", discharges_s=(0.2,))
    rows = [replace(row, path=f"{name}.mp4") for name in "abcd"]
    rows[3] = replace(rows[3], discharge=False, discharges_s=())
    write_collection(tmp_path / "footage" / "one", rows)
    ingest.run(compose("ingest"))
    folder = tmp_path / "clips"
    clips = manifest.read_manifest(folder)
    clips = [replace(one, start_s=2 * one.start_s) for one in clips]
    shown = np.asarray(of_collection(folder, clips))
    # Files without sound, which are a and c, are left out; b has a discharge, d has none.
    assert shown.shape == (2 * 150, 8 * 240, 3)
    below = shown[[122, 272], :240]
    red, dark, grey = ([110, 20, 20], [24, 24, 24], [90, 90, 90])
    places = [10, 120, 230]
    np.testing.assert_array_equal(below[0, places], [red, grey, dark])
    np.testing.assert_array_equal(below[1, places], [dark, grey, dark])
    assert shown[:120, :60].any(axis=(1, 2)).mean() > 0.9
    assert shown[:, 240:].max() == 0


@pytest.mark.slow
def test_no_mutant_and_no_attack_stops_an_ingest_or_gets_lost() -> None:
    assert "faults: none" in run("fuzz_ingest.py", "--mutants", "48")


@pytest.mark.slow
def test_the_table_trains_each_configuration_once_on_as_many_samples(tmp_path: Path) -> None:
    from synthetic import write_samples

    packed = write_samples(tmp_path / "packed", 32, FORMAT)
    index = pq.read_table(packed / INDEX)
    variants = pa.array(["{}"] * 16 + [None] * (len(index) - 16), pa.string())
    place = index.schema.get_field_index("variant")
    pq.write_table(index.set_column(place, index.schema.field(place), variants), packed / INDEX)
    arguments = (
        *(
            "generalisation.py",
            "--rows",
            "as configured,no encoder",
            "--seeds",
            "1,2",
        ),
        *("--row", "variants that are there: use_variants=true"),
        *("--row", "plain: alter.mirrored=false", "num_epochs=2", "batch_size=8"),
        *(f"paths.packed={packed}", f"paths.work={tmp_path}"),
        f"paths.features={write_no_features(tmp_path / 'features')}",
    )
    runs = tmp_path / "generalisation" / "runs"
    wrong = subprocess.run(
        [sys.executable, str(BENCHMARKS / arguments[0]), *arguments[1:], "no=such"],
        capture_output=True,
        text=True,
        check=False,
        cwd=app.PROJECT,
    )
    assert wrong.returncode == 1
    assert "no=such" in wrong.stderr
    assert not runs.exists()

    first = run(*arguments)
    cards = {path: path.stat().st_mtime_ns for path in runs.glob("*/models/model.json")}
    configs = [json.loads(path.read_text())["config"] for path in cards]
    assert sorted((one["use_variants"], one["num_epochs"], one["seed"]) for one in configs) == [
        *((False, 2, 1), (False, 2, 1), (False, 2, 2), (False, 2, 2)),
        *((True, 1, 1), (True, 1, 2)),
    ]
    lines = [line.split("|") for line in first.splitlines() if line.startswith("| plain")]
    assert [line[2].strip() for line in lines] == ["2", "2", "2", "2"]
    assert all(0 <= float(line[3].split()[0]) <= 1 for line in lines[:3])

    again = run(*arguments)
    tables = [text.partition("AUROC of the origin")[2] for text in (first, again)]
    assert tables[0] == tables[1]
    assert {path: path.stat().st_mtime_ns for path in cards} == cards


def test_a_collection_is_judged_by_file_and_by_recording() -> None:
    from runs import Clips, judge

    table = toy.clips((toy.Source("cam", "real", 3, 3), toy.Source("doom", "game", 3, 3)))
    paths = sorted({(row["path"], row["origin"]) for row in table.to_pylist()})
    index = [
        IndexRow(path, origin, path.split("/")[0], True, "CC0-1.0", recording=path)
        for path, origin in paths
    ]

    def brightness(batch: np.ndarray, sounds: np.ndarray) -> np.ndarray:
        real = batch.mean(axis=(1, 2, 3, 4)) / 255
        return np.column_stack([real, (1 - real) / 2, 0 * real, (1 - real) / 2])

    found = judge(brightness, Clips("cams", table, toy.clip, "", index))
    assert list(found) == ["cams, by file", "cams, by recording"]
    assert all(0 <= one["origin"]["value"] <= 1 for one in found.values())


@pytest.mark.parametrize(("sides", "num_real"), [("both", 4), ("real", 8), ("fictional", 0)])
def test_teams_are_judged_on_sources_that_they_did_not_bring(sides: str, num_real: int) -> None:
    import adapting

    own = own_of("real", "game", sources=8, each=3)
    for number in range(5):
        found = adapting.drawn(own, adapting.Team("own", sides, 8, number))
        assert found is not None
        files, left = found
        assert len(set(files)) == 8
        assert (own.origins[files] == "real").sum() == num_real
        assert set(own.sources[files]).isdisjoint(own.sources[left])
        assert len(set(own.sources[files]) | set(own.sources[left])) == 16
    assert adapting.drawn(own, adapting.Team("own", "real", 32, 0)) is None


def test_eyes_are_judged_on_sources_that_they_never_saw() -> None:
    import eyes

    rng = np.random.default_rng(0)
    sources = np.repeat(np.arange(12), 6)
    is_real = sources % 2 == 0
    # Features 0 to 11 name the source, 12 tells the truth in part.
    shown = np.concatenate([np.eye(12)[sources], is_real[:, None] + 0.0], axis=1)
    shown += rng.normal(0, 0.1, shown.shape)

    def footage(told_by_truth: bool) -> eyes.Footage:
        return eyes.Footage(
            shown if told_by_truth else shown[:, :12],
            np.where(is_real, "real", "game"),
            np.array([f"source-{number:02d}" for number in sources]),
            np.array([f"{number}/{file}" for file, number in enumerate(sources)]),
            sources < 2,
            np.ones(len(sources)),
        )

    named, true = footage(False), footage(True)

    def auroc(log_odds: np.ndarray, judged: eyes.Footage) -> float:
        return eyes.told(log_odds, judged, with_interval=False).everything

    assert auroc(eyes.fitted(named, named, 0.01), named) > 0.95
    assert auroc(eyes.crossed(named, None, 0.01, seed=1), named) < 0.7
    assert auroc(eyes.crossed(true, None, 0.01, seed=1), true) > 0.9
    assert eyes.from_("source-0", named).sum() == 60
    assert named.counted(1, rendered=0).sources.tolist() == named.sources[12:].tolist()
    assert named.counted(2, rendered=0.5).weights.tolist() == [0.5] * 12 + [2.0] * 60
    # A source that counts for nothing teaches nothing.
    ignored = eyes.joined([named.take(sources > 1), named.take(sources < 2).counted(1e-9)])
    known = auroc(eyes.fitted(ignored, named.take(sources < 2), 0.01), named.take(sources < 2))
    assert known < 0.95


def test_clips_are_captioned_by_what_they_are(tmp_path: Path) -> None:
    import eyes

    samples = [eyes.Sample(name, name, name, name, False) for name in ("real", "game")]
    grey = np.full((2, 64, 64, 3), 90, np.uint8)
    clips = eyes.captioned(eyes.Clips(samples, lambda number: grey, tmp_path), "", "BODYCAM")
    assert np.array_equal(clips.read(0), grey)
    lied = clips.read(1)
    assert np.array_equal(lied[:, :40], grey[:, :40])
    assert lied[:, 55:].max() > 200
    assert lied[:, 55:].min() < 20
    assert (grey == 90).all()
    assert len({one.sha256 for one in clips.samples} | {"real", "game"}) == 4


@pytest.mark.slow
def test_the_table_of_speed_has_every_rival(tmp_path: Path) -> None:
    text = run(
        *("training.py", "--synthetic", "64", "--rounds", "1", "--steps", "1", "--warmup", "1"),
        *("--seconds", "0.1", "--turn", "0.1", f"paths.work={tmp_path}"),
    )
    for name in ("Lightning / bare", "| flash |", "| X3D-XS-sized | 2.98 M |"):
        assert name in text


def test_the_bare_loop_ends_with_the_weights_of_the_lightning_loop(tmp_path: Path) -> None:
    from bare import BareLoop
    from synthetic import write_samples

    packed = Packed.open(write_samples(tmp_path / "packed", 24, FORMAT), tmp_path)
    cfg = app.compose(
        "train",
        # Without chance of its own.
        *(f"model.name={FRAMEWISE}", "batch_size=8"),
        *("num_epochs=1", "num_threads=1", "lr=1e-2", "gradient_clip=0.5"),
        *("run.num_workers=0", "run.progress=false", f"paths.work={tmp_path}"),
    )
    assert isinstance(cfg, TrainApp)
    data = PackedData(packed, cfg, cfg.run)
    classifier = Classifier(cfg, packed.format, num_batches=data.num_batches)
    make_trainer(cfg, max_epochs=1, limit_val_batches=0, logger=False).fit(classifier, data)

    torch.manual_seed(cfg.seed)
    loop = BareLoop(
        cfg,
        networks.build(cfg.model, packed.format),
        num_steps=data.num_batches,
        device=torch.device("cpu"),
    )
    untrained = {name: value.clone() for name, value in loop.network.state_dict().items()}
    for batch in PackedData(packed, cfg, cfg.run).train_dataloader():
        loop.step(batch)
    found, expected = loop.network.state_dict(), classifier.network.state_dict()
    assert not torch.equal(found["inner.head.weight"], untrained["inner.head.weight"])
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)


def test_the_rival_has_the_size_and_the_cost_of_x3d_xs() -> None:
    from x3d import X3D

    clip = ClipFormat(num_frames=4, size=160, fps=15.0, crf=18)
    network = X3D(clip, num_classes=400).eval()
    assert 3.76e6 < sum(p.numel() for p in network.parameters()) < 3.80e6
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert network(torch.zeros(1, 4, 160, 160, 3, dtype=torch.uint8)).shape == (1, 400)
    # The paper counts multiplications with an addition as one: 0.6 G.
    assert counter.get_total_flops() / 2e9 == pytest.approx(0.60, abs=0.01)


def test_cells_give_the_mean_with_intervals_over_seeds_and_over_recordings() -> None:
    from runs import cell, half_width

    found = [
        {"value": value, "low": value - 0.1, "high": value + 0.05} for value in (0.80, 0.82, 0.84)
    ]
    # Student's t of two degrees of freedom at 97.5 % is 4.303.
    assert half_width([0.80, 0.82, 0.84]) == pytest.approx(4.303 * 0.02 / math.sqrt(3), abs=1e-4)
    assert cell("origin", found) == "0.820 ± 0.050 (0.720 to 0.870)"
    assert cell("origin", found[:1]) == "0.800 (0.700 to 0.850)"
    assert cell("false_alarms", [{"value": 0.1, "low": None, "high": None}]) == "10 %"
    assert cell("origin", [*found, {"value": None, "low": None, "high": None}]) == "–"


def test_a_recording_of_two_files_is_judged_by_both() -> None:
    from runs import by_group

    files = [
        ("a/1", "real", "a", 0, "scored", 0.9, 0.1, 0.2),
        ("a/2", "real", "a", 1, "scored", 0.3, 0.6, 0.7),
        ("b/1", "game", "b", 1, "scored", 0.8, 0.5, 0.4),
        ("c/1", "film", "c", 0, "rejected", None, None, None),
    ]
    names = ("path", "origin", "recording", "discharge", "status", "p_real", "score", "p_discharge")
    rows = [
        {"source": "-", "licence": "-", "authority": "-", "rendered": False, "num_clips": 1}
        | dict(zip(names, file, strict=True))
        for file in files
    ]
    examples = by_group(pa.Table.from_pylist(rows, FILE_SCHEMA), "recording")
    assert examples.recordings == ["a", "b"]
    np.testing.assert_allclose(examples.p_real, [0.6, 0.8])
    np.testing.assert_allclose(examples.score, [0.6, 0.5])
    assert examples.is_real.tolist() == [True, False]
    assert examples.is_fired.tolist() == [True, True]
    assert examples.is_alarm.tolist() == [True, False]


def test_a_copy_is_found_only_where_all_that_is_said_of_it_is_so() -> None:
    import match

    from pipeline.copies.matching import VideoStretch

    def stretch(
        start_s: float, end_s: float, offset_s: float, mirrored: bool = False
    ) -> VideoStretch:
        shown = (start_s + offset_s, end_s + offset_s)
        return VideoStretch(start_s, end_s, *shown, offset_s, mirrored, 8, 5, 5)

    assert match.is_right(stretch(3, 9, 0.5), "text")
    assert not match.is_right(stretch(3, 9, 2), "text")
    assert not match.is_right(stretch(3, 9, 0, mirrored=True), "text")
    assert match.is_right(stretch(3, 9, 0, mirrored=True), "mirrored")
    assert match.is_right(stretch(0, 9, 7.4), match.CUT)
    assert not match.is_right(stretch(0, 9, 0), match.CUT)
    assert match.is_right(stretch(8, 12, 2.5), "1.25 times as fast")


def test_a_screen_is_filmed_alike_each_time_and_takes_what_was_drawn_of_the_view() -> None:
    from filmed import WAYS, Camera, Way, _outline, _projected

    picture = np.full((90, 160, 3), 250, np.uint8)
    near, far = (Camera(Way(10, 6, 3, share, share), 160, 90, seed=4) for share in (1.15, 0.7))
    seen = near.film(picture, 0.5), far.film(picture, 0.5)
    assert seen[0].shape == seen[1].shape == (360, 640, 3)
    again = Camera(Way(10, 6, 3, 0.7, 0.7), 160, 90, seed=4).film(picture, 0.5)
    np.testing.assert_array_equal(seen[1], again)
    for camera, share in ((near, 1.15), (far, 0.7)):
        spans = np.ptp(_projected(camera._seen, _outline(camera.size)), axis=0) / camera.size
        assert spans.max() == pytest.approx(share, abs=1e-3)
    assert Camera(WAYS["screen filmed without its edges"], 90, 160, seed=4).size == (360, 640)


def test_a_film_of_a_screen_that_plays_faster_is_shorter(tmp_path: Path) -> None:
    import av
    from filmed import FPS, WAYS, film

    source = tmp_path / "a.mp4"
    write_video(source, np.full((30, 90, 160, 3), 200, np.uint8), rate=15)
    for speed in (1.0, 1.5):
        film(source, tmp_path / "b.mp4", next(iter(WAYS.values())), 1, speed)
        with av.open(str(tmp_path / "b.mp4")) as container:
            num = sum(1 for _ in container.decode(video=0))
        assert abs(num - 2 * FPS / speed) <= 1


def test_an_excerpt_is_found_by_its_sound_only_where_it_was_taken() -> None:
    from match_sound import AT_S, Edit, is_right

    from pipeline.copies.sound_matching import SoundStretch

    def stretch(start_s: float, item_start_s: float) -> SoundStretch:
        there = (start_s, start_s + 9, item_start_s, item_start_s + 9)
        return SoundStretch(*there, item_start_s - start_s, 2.0, 50, 50)

    assert is_right(stretch(2, AT_S + 2.4), Edit())
    assert not is_right(stretch(2, AT_S + 2.6), Edit())
    assert is_right(stretch(4, AT_S + 5.9), Edit(speed=1.25))
    assert not is_right(stretch(4, AT_S + 3.9), Edit(speed=1.25))


def test_sound_is_laid_over_sound_by_the_ratio_of_their_powers() -> None:
    from match_sound import bound_of, mixed, pink

    rng = np.random.default_rng(0)
    sound, over = rng.normal(0, 0.05, (9000, 2)), rng.normal(0, 3, (9000, 1))
    rest = mixed(sound, over, 10) - sound
    assert np.square(sound).mean() / np.square(rest).mean() == pytest.approx(10)
    assert np.abs(mixed(np.ones((9, 1)), np.ones((9, 1)), 0)).max() == 1
    assert not mixed(np.zeros((9, 1)), np.ones((9, 1)), 0).any()
    # Each octave holds as much of pink noise as the next.
    powers = np.square(np.abs(np.fft.rfft(pink(2**16, 1)[:, 0])))
    assert powers[512:1024].sum() / powers[8192:16384].sum() == pytest.approx(1, abs=0.15)
    assert bound_of(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert (bound_of(3, 3), bound_of(0, 0)) == (1.0, None)


def test_synthetic_samples_fill_every_class_of_every_split(tmp_path: Path) -> None:
    from synthetic import write_samples

    packed = Packed.open(write_samples(tmp_path / "packed", 32, FORMAT), tmp_path)
    counts = {name: len(packed.select([name], variants=True)) for name in ("train", "val", "test")}
    assert counts == {"train": 32, "val": 8, "test": 8}
    assert packed.read(0).frames.std() > 70
    assert len({packed.read(i).frames.tobytes() for i in range(48)}) == 48


def test_ways_to_remember_are_judged_by_stretches_and_by_alerts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import memory

    monkeypatch.setattr(memory, "NUM_RESAMPLES", 4)
    rng, fps, num_frames = np.random.default_rng(0), 5.0, 400
    played, logits = [], []
    for number in range(16):
        is_real = number % 2 == 0
        fired_s = np.array([50.2, 52.0, 70.0])
        at_s = np.arange(num_frames) / fps
        fires = ((at_s[:, None] >= fired_s) & (at_s[:, None] < fired_s + 1)).any(1)
        # What a recording says of its origin stays for a second, and is often wrong.
        origin = (1.0 if is_real else -1.0) + rng.normal(0, 2, num_frames // 5).repeat(5)
        discharge = np.where(fires, 3.0, -3.0)
        one = memory.Played(
            str(number), is_real, np.zeros((num_frames, 0)), discharge, fired_s, frozenset()
        )
        played.append(one)
        logits.append(memory.product_logits(*map(torch.from_numpy, (origin, discharge))))
    scores = [memory.last_clip(one).numpy() for one in logits]
    highest, shows, recording = memory.stretches(played, scores, fps)
    # Two bursts of each shooting; of each game the 80 s, of each shooting the 50.2 s before.
    assert np.bincount(recording[shows], minlength=16).tolist() == [2, 0] * 8
    assert np.bincount(recording[~shows], minlength=16).tolist() == [2, 3] * 8
    assert highest[np.flatnonzero(shows)[0]] == scores[0][251:276].max()

    settings = memory.Memory(answer_s=1.0, origin_s=20.0, lasting=0.3, discharge_s=0.2)
    rows = {row[0]: row for row in memory.compare(played, logits, settings, fps)}
    found = {name: float(str(row[1]).split()[0]) for name, row in rows.items()}
    assert found["both, lasting 0.3, 30 s"] > found["last clip alone"] + 0.02
    assert rows["last clip alone"][2] == "+0.000 to +0.000"
    assert str(rows["both, lasting 0.3, 30 s"][3]).startswith("8 (")
    assert not str(rows["last clip alone"][3]).startswith("8 (")
    told = [memory.origin_log_odds(one).numpy() for one in logits]
    loss = dict(memory.losses(played, told, settings, fps))
    assert loss["lasting 0.3"] < loss["lasting 1"] < loss["last clip alone"]


def test_no_rate_of_false_matches_has_a_bound_of_its_own() -> None:
    from false_matches import exact, interval
    from match import bound_of

    assert interval(np.zeros(3, int), np.array([5, 900, 7]), seed=0) == (0.0, bound_of(0, 3))
    low, high = interval(np.repeat([1, 0], 50), np.full(100, 10), seed=0)
    assert 0.03 < low < 0.05 < high < 0.07
    assert interval(np.array([2, 2]), np.array([10, 10]), seed=0) == (0.2, 0.2)
    assert exact(0, 3000) == (0.0, pytest.approx(1e-3, rel=0.01))
    low, high = exact(5, 100)
    assert (low, high) == (pytest.approx(0.0164, rel=0.01), pytest.approx(0.1128, rel=0.01))


def test_a_crop_that_agrees_over_time_is_a_match_in_a_bank_that_holds_it() -> None:
    import false_matches
    from crops import File

    rng = np.random.default_rng(0)
    times_ms = np.arange(4, dtype=np.uint32) * 1000
    crops = rng.integers(0, 256, (2, 12, 32), np.uint8)
    shown = rng.integers(0, 256, (2, 4, 2, 32), np.uint8)
    # The second file shows what the mirror image of the second of three crops of the first does.
    shown[1, :, 1] = crops[0, 1::3] ^ np.packbits(np.arange(256) < 20)
    places = np.tile(np.arange(3, dtype=np.uint16), 4)
    files = [
        File("c", "s", str(n), "k", times_ms, shown[n], np.repeat(times_ms, 3), crops[n], places)
        for n in range(2)
    ]
    items = false_matches.items_of(files, seed=0)
    assert np.unique(items.numbers, return_counts=True)[1].tolist() == [4] * 6
    asked = false_matches.look_ups(files, seed=0)["whole pictures"]
    near = false_matches.near_of(asked, items, np.arange(2))
    assert asked.files[near.looked].tolist() == [1] * 4
    assert (near.sides.tolist(), near.distances.tolist()) == ([1] * 4, [20] * 4)
    for distance, num in ((19, 0), (23, 1)):
        of = near.distances <= distance
        told = near.known[of], near.sides[of], distance
        assert false_matches.num_matches(files[1], items, *told) == num
    alone = false_matches.near_of(asked, items, np.zeros(2, int))
    assert not len(alone.looked), "what shows itself is no false match"


def test_windows_of_three_pictures_make_a_match_and_of_two_do_not() -> None:
    import window_matches
    from false_matches import Items

    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (5000, 32), np.uint8)
    numbers = np.arange(5000) // 5
    times_ms = np.arange(5000) % 5 * 1000
    items = Items(crops.view("<u8"), times_ms, numbers % 2, numbers)
    finder = window_matches.Finder(window_matches.bank_of(items.words), items.files)
    pictures = []
    for second in range(4):
        windows = rng.integers(0, 256, (9, 32), np.uint8)
        # Item 700 begins a second before, and item 701, of another file, is near once.
        windows[4] = crops[3501 + second] ^ np.packbits(np.arange(256) < 20)
        windows[7] = crops[3505] ^ np.packbits(np.arange(256) < 32 - (second == 1))
        pictures.append((second * 1000, windows, finder.near(windows, own=2)))
    assert [one.known.tolist() for *_, one in pictures] == [[3501], [3502, 3505], [3503], [3504]]
    assert pictures[1][2].windows.tolist() == [4, 7]
    assert pictures[1][2].distances.tolist() == [20, 31]
    assert not len(finder.near(pictures[0][1], own=0).known), "of the same recording"
    every = np.ones(len(crops), bool)
    assert window_matches.least_bits(pictures, items, every) == 23
    assert window_matches.least_bits(pictures[:2], items, every) == 255, "all of two"
    far = [
        (time_ms, windows[5:], finder.near(windows[5:], own=2)) for time_ms, windows, _ in pictures
    ]
    assert window_matches.least_bits(far, items, every) == 255, "near in one of four"
    assert window_matches.least_bits(pictures, items, items.files == 1) == 255


def test_crops_are_hashed_as_parts_of_what_is_looked_up() -> None:
    import crops

    from pipeline.copies import parts

    small = np.random.default_rng(0).integers(0, 256, (9, 16), np.uint8)
    luma = np.kron(small, np.ones((30, 30), np.uint8))
    rows, columns = np.arange(3), np.arange(5, 9)
    found, is_varied = crops.crops_of(luma, rows, columns)
    assert is_varied.tolist() == [True] * 12
    tall, wide = crops.pool()[1], crops.pool()[7]
    (expected,) = parts._bits((tall @ parts._reduced(luma) @ wide.T)[None])
    assert found[1 * 4 + 2].tolist() == expected.tolist()


@pytest.mark.slow
def test_in_a_simulated_stream_the_queue_finds_more_and_the_audit_tells_the_truth() -> None:
    import review_audit
    import review_year

    by_order = review_year.compared(8, 4000)
    found = {name: files[-1] for name, (_, files) in by_order.items()}
    different = {name: videos[-1] for name, (videos, _) in by_order.items()}
    for shares in (found, different):
        assert shares["queue"] > shares["score, a task a file"] > shares["random"]
    assert found["queue by cost alone"] > found["score, a task a video"]
    assert different["queue"] > different["queue, copy_cost=1"]
    years = [review_audit.audited_year(seed, 60, 1000) for seed in range(12)]
    for what in ("precision", "recall"):
        held = sum(review_audit.covers(*getattr(year, what)) for year in years)
        # Of twelve with a chance of 95 % each, fewer than nine are one case in 5,000.
        assert held >= 9
    # Slips of single people, taken at their word, would be most of what was missed.
    assert not any(review_audit.covers(year.recall[0], year.single) for year in years)
