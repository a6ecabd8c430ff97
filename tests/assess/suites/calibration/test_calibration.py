"""The suite of calibration: a mis-calibrated detector turns red, a calibrated one green."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.assess.evidence import Table
from pipeline.assess.suites.calibration import calibration
from pipeline.detect import scores
from pipeline.detect.files import FILE_SCHEMA
from tests.assess import toy

MANY = (
    toy.Source("bodycam", "real", 60, 60),
    toy.Source("phone", "real", 20, 60),
    toy.Source("doom", "game", 60, 60),
    toy.Source("sintel", "film", 30, 50),
)


def judged(sharpen: float, sources=MANY):
    """Labels drawn from the detector's own probabilities, whose logits are then multiplied."""
    evidence = toy.evidence(sources)
    part = evidence.judged_sets[0]
    rng = np.random.default_rng(7)
    num = part.clips.num_rows
    origins = np.array(part.clips["origin"].to_pylist()) == "real"
    # A logit normal around ±a with variance 2a is calibrated for labels that are as frequent.
    prior = np.log(origins.mean() / (1 - origins.mean()))
    logit_real = np.where(origins, 2, -2) + rng.normal(0, 2, num) + prior
    logit_discharge = rng.normal(0, 2, num)
    discharge = rng.random(num) < 1 / (1 + np.exp(-logit_discharge))
    real, fired = (1 / (1 + np.exp(-sharpen * logit)) for logit in (logit_real, logit_discharge))
    joint = np.column_stack(
        [real * fired, (1 - real) * fired, real * (1 - fired), (1 - real) * (1 - fired)]
    )
    columns = part.clips.select(scores.CLIP_SCHEMA.names)
    place = columns.schema.get_field_index("discharge")
    columns = columns.set_column(place, columns.schema.field(place), [discharge.astype(np.int8)])
    table = scores.score_table(columns, joint)
    evidence = replace(
        evidence,
        judged_sets=[replace(part, clips=table)],
        settings=replace(evidence.settings, num_bins=10),
    )
    return calibration.run(evidence)


def states(section):
    return {one.name: one.state for one in section.verdicts}


def test_a_calibrated_detector_is_green():
    section = judged(1.0)
    assert set(states(section).values()) == {"green"}
    assert section.metrics["test"]["discharge"]["ece"]["value"] < 0.06


def test_logits_times_four_are_red_and_said_to_be_too_sure():
    section = judged(4.0)
    found = states(section)
    assert found["shooting_test"] == found["origin_test"] == found["discharge_test"] == "red"
    assert found["groups"] == "amber"
    says = {one.name: one.says for one in section.verdicts}
    assert "too sure of itself" in says["discharge_test"]


def test_small_data_is_neither_red_nor_green():
    found = states(judged(1.0, toy.SOURCES))
    assert {found[f"{name}_test"] for name in ("shooting", "origin", "discharge")} == {"amber"}


def test_one_answer_only_is_grey():
    section = calibration.run(toy.evidence((toy.Source("phone", "real", 0, 8),)))
    found = states(section)
    assert found["shooting_test"] == found["origin_test"] == found["discharge_test"] == "grey"
    assert section.metrics["test"]["shooting"]["ece"]["value"] is None


def test_every_number_of_a_diagram_is_in_the_rows():
    section = judged(1.0)
    rows = section.rows["bins.parquet"].to_pylist()
    whole = [r for r in rows if r["question"] == "shooting" and r["group_kind"] == ""]
    num = sum(r["num_examples"] for r in whole)
    error = sum(r["num_examples"] * abs(r["said"] - r["was"]) for r in whole) / num
    assert error == pytest.approx(section.metrics["test"]["shooting"]["ece"]["value"], abs=1e-6)
    assert all(r["was_low"] <= r["was"] <= r["was_high"] for r in rows)
    assert {r["group_kind"] for r in rows} == {"", "origin", "source"}
    curve = section.rows["abstention.parquet"].to_pylist()
    assert curve[-1]["coverage"] == 1
    risk = section.metrics["test"]["abstention"]["risk_at_1"]
    assert curve[-1]["risk"] == pytest.approx(risk, abs=1e-6)


def test_metrics_are_json_and_sections_repeat():
    first, second = judged(1.0), judged(1.0)
    assert json.dumps(first.metrics, allow_nan=False) == json.dumps(second.metrics)
    assert first.plots == second.plots
    assert first.plots["reliability.csv"][0] == ("part", "question", "said", "was", "num_examples")


def test_tables_have_a_cell_a_column_and_names_are_escaped_in_figures():
    evil = (toy.Source("<b>evil</b>", "real", 20, 20), toy.Source("doom", "game", 20, 20))
    evidence = toy.evidence(evil)
    part = replace(evidence.judged_sets[0], name="<script>")
    section = calibration.run(replace(evidence, judged_sets=[part]))
    for panel in section.panels:
        if isinstance(panel, Table):
            assert all(len(row) == len(panel.columns) for row in panel.rows)
        else:
            assert "<script>" not in json.dumps(panel.spec)


def test_files_are_judged_by_their_two_marginals():
    evidence = toy.evidence(MANY)
    part = evidence.judged_sets[0]
    clips = part.clips.to_pylist()
    first = {row["path"]: row for row in clips}
    files = [
        {
            **{k: row[k] for k in ("path", "origin", "source", "recording", "licence")},
            "discharge": row["discharge"],
            "authority": "",
            "rendered": False,
            "status": "scored",
            "num_clips": 5,
            "score": row["score"],
            "p_real": row["p_real_shooting"] + row["p_real_other"],
            "p_discharge": row["p_real_shooting"] + row["p_fictional_shooting"],
            "predicted": "real_other",
        }
        for row in first.values()
    ]
    table = pa.Table.from_pylist(files, schema=FILE_SCHEMA)
    section = calibration.run(replace(evidence, judged_sets=[replace(part, files=table)]))
    assert section.metrics["test"]["shooting"]["num_examples"] == len(first)
    wrong = 1 - np.mean([row["origin"] == "real" and not row["discharge"] for row in files])
    found = section.metrics["test"]["abstention"]["error"]["value"]
    assert found == pytest.approx(wrong, abs=1e-6)
