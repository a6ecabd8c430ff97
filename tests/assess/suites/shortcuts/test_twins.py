from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.assess.evidence import Evidence
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics.measurement import as_json
from pipeline.assess.suites.shortcuts import shortcuts, twins
from pipeline.detect import scores
from tests.assess import toy

ALONE = (
    toy.Source("camera", "real", 30, 30),
    toy.Source("doom", "game", 30, 30),
    toy.Source("sintel", "film", 30, 30),
)
APPEARANCES = ("real", "game", "film")


def clips(num_twins: int, appearances: tuple[str, ...] = APPEARANCES) -> pa.Table:
    """Recordings of one appearance each, then `num_twins` of two moments in all `appearances`."""
    rows = toy.clips(ALONE, clips_per_recording=2).to_pylist()
    rows += [
        rows[0]
        | {
            "sample_id": f"{appearance}-{number}-{clip}",
            "clip_id": f"{appearance}-{number}-{clip}",
            "source": f"staged-{appearance}",
            "origin": appearance,
            "recording": f"toy/stage-{number}",
            "discharge": number % 2,
            # As containers of two frame rates might tell the same time.
            "start_s": clip * 16 / 15 + (appearance == "film") * 1e-5,
        }
        for number in range(num_twins)
        for appearance in appearances
        for clip in range(2)
    ]
    return pa.Table.from_pylist(rows, schema=scores.CLIP_SCHEMA)


def evidence(
    table: pa.Table, by_appearance: float, by_scene: float, noise: float = 1.0
) -> Evidence:
    """Of a detector that reads appearance, and the scene, which tells the origin but of twins."""
    rng = np.random.default_rng(0)
    real = np.where(np.array(table["origin"].to_pylist()) == "real", 1.0, -1.0)
    recording = np.unique(table["recording"].to_pylist(), return_inverse=True)[1]
    staged = np.char.startswith(table["recording"].to_pylist(), "toy/stage")
    scene = np.where(staged, rng.normal(0, 0.5, recording.max() + 1)[recording], real)
    logit = by_appearance * real + by_scene * scene + rng.normal(0, noise, real.size)
    fires = np.array(table["discharge"].to_pylist()) * 2.0 - 1.0
    p_real, p_fires = 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(-fires))
    joint = [
        p_real * p_fires,
        (1 - p_real) * p_fires,
        p_real * (1 - p_fires),
        (1 - p_real) * (1 - p_fires),
    ]
    part = JudgedSet("test", "", scores.score_table(table, np.stack(joint, 1)), toy.clip, "0" * 64)
    return replace(toy.evidence(), judged_sets=[part])


def state(table: pa.Table, by_appearance: float, by_scene: float, noise: float = 1.0) -> str:
    return twins.judge(twins.measure(evidence(table, by_appearance, by_scene, noise))).state


def test_a_detector_that_reads_the_appearance_is_green() -> None:
    verdict = twins.judge(twins.measure(evidence(clips(30), by_appearance=3, by_scene=0)))
    assert verdict.state == "green"
    assert "of 60 moments of 30 recordings" in verdict.says


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_detector_that_reads_the_scene_is_red(noise: float) -> None:
    section = shortcuts.run(evidence(clips(30), by_appearance=0, by_scene=3, noise=noise))
    verdict = next(one for one in section.verdicts if one.name == "reads_scenes")
    assert verdict.state == "red"
    assert verdict.says.startswith("The detector reads scenes: of the same moment as real and as")


def test_a_detector_that_takes_twins_for_their_opposites_is_red() -> None:
    assert state(clips(30), by_appearance=-1, by_scene=4) == "red"


def test_one_appearance_that_is_not_told_is_not_hidden_by_another() -> None:
    """Films are told by their appearance, games by their scene alone."""
    table = clips(30)
    made = evidence(table, by_appearance=0, by_scene=3, noise=0).judged_sets[0].clips
    told = evidence(table, by_appearance=3, by_scene=0).judged_sets[0].clips
    is_film = pa.array(np.array(table["origin"].to_pylist()) == "film")
    mixed = pa.concat_tables([made.filter(pa.compute.invert(is_film)), told.filter(is_film)])
    part = JudgedSet("test", "", mixed, toy.clip, "0" * 64)
    found = twins.measure(replace(toy.evidence(), judged_sets=[part]))
    assert found.by_origin["film"].state == "green"
    assert twins.judge(found).state == "red"
    assert "as real and as game" in twins.judge(found).says


def test_a_little_of_the_appearance_is_amber() -> None:
    assert state(clips(12), by_appearance=0.3, by_scene=3, noise=2.0) == "amber"


def test_a_detector_that_tells_nothing_is_grey() -> None:
    verdict = twins.judge(twins.measure(evidence(clips(12), by_appearance=0, by_scene=0)))
    assert verdict.state == "grey"
    assert verdict.says.startswith("The detector tells little")


@pytest.mark.parametrize("num_twins", [0, 1, 4])
def test_few_recordings_are_grey(num_twins: int) -> None:
    found = twins.measure(evidence(clips(num_twins), by_appearance=0, by_scene=3, noise=0))
    verdict = twins.judge(found)
    assert verdict.state == "grey"
    assert verdict.says.endswith(f"and has {num_twins}.")
    json.dumps(as_json(twins.summary(found)), allow_nan=False)
    assert len(twins.table(found).rows) == 2


def test_five_recordings_that_all_agree_are_bounded_as_five_trials() -> None:
    found = twins.measure(evidence(clips(5), by_appearance=9, by_scene=0)).by_origin["game"].ranked
    assert found.value == 1
    assert found.low == pytest.approx(0.05 ** (1 / 5), abs=1e-6)


def test_only_the_same_moment_of_the_same_recording_makes_twins() -> None:
    table = clips(6, ("real", "game"))
    rows = table.to_pylist()
    for row in rows:
        if row["origin"] == "game" and row["recording"] == "toy/stage-0":
            row["start_s"] += 0.5
        if row["origin"] == "game" and row["recording"] == "toy/stage-1":
            row["discharge"] = 1 - row["discharge"]
    found = twins.measure(evidence(pa.Table.from_pylist(rows, table.schema), 1, 0))
    assert found.by_origin["game"].num_recordings == 4
    assert found.by_origin["game"].num_moments == 8
    assert found.by_origin["film"].num_moments == 0
    assert set(found.rows["recording"].to_pylist()) == {f"toy/stage-{i}" for i in range(2, 6)}


def test_the_interval_is_that_of_resampled_recordings() -> None:
    found = twins.measure(evidence(clips(40), by_appearance=0.5, by_scene=1))
    rows = found.rows.to_pylist()
    real = {row["moment"]: row["p_real"] for row in rows if row["origin"] == "real"}
    wins = np.array(
        [real[row["moment"]] > row["p_real"] for row in rows if row["origin"] == "game"]
    )
    wins = wins.reshape(40, 2).mean(axis=1)
    ranking = found.by_origin["game"].ranking
    assert ranking is not None
    assert ranking.auroc == pytest.approx(wins.mean())
    assert ranking.variance == pytest.approx(wins.var(ddof=1) / 40)


def test_a_decision_turns_where_appearances_disagree_on_the_discharge() -> None:
    table = clips(10)
    made = evidence(table, by_appearance=3, by_scene=0)
    assert twins.measure(made).by_origin["game"].turns["p_discharge"].value == 0
    swapped = made.judged_sets[0].clips
    turned = np.array(table["origin"].to_pylist()) == "game"
    turned &= np.char.startswith(table["recording"].to_pylist(), "toy/stage-3")
    joint = scores.joint(swapped)
    joint[turned] = joint[turned][:, [2, 3, 0, 1]]
    part = replace(made.judged_sets[0], clips=scores.score_table(table, joint))
    found = twins.measure(replace(made, judged_sets=[part])).by_origin
    for name in ("p_discharge", "class"):
        assert found["game"].turns[name].value == pytest.approx(0.1)
        assert found["film"].turns[name].value == 0


def test_every_number_can_be_recounted_from_the_rows() -> None:
    found = twins.measure(evidence(clips(9), by_appearance=1, by_scene=1))
    assert found.rows.num_rows == 9 * 2 * 3
    assert len(set(found.rows["moment"].to_pylist())) == 18
    again = twins.measure(evidence(clips(9), by_appearance=1, by_scene=1))
    assert found.rows.equals(again.rows)
    assert twins.summary(found) == twins.summary(again)
