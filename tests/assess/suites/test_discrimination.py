from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score

from pipeline.assess.evidence import Evidence
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.questions import PARTIAL_AUROC
from pipeline.assess.suites import discrimination
from pipeline.detect import scores
from tests.assess import toy

LARGE = (
    toy.Source("bodycam", "real", 40, 40),
    toy.Source("phone", "real", 40, 40),
    toy.Source("doom", "game", 40, 40),
    toy.Source("sintel", "film", 20, 20),
)


def evidence(sources=LARGE, **kwargs) -> Evidence:
    made = toy.evidence(sources, **kwargs)
    return replace(made, settings=replace(made.settings, bootstrap=Bootstrap(200, 0.95, 0)))


def rescored(made: Evidence, probabilities: np.ndarray) -> Evidence:
    """The same clips with other scores."""
    clips = made.judged_sets[0].clips.select(scores.CLIP_SCHEMA.names)
    part = replace(made.judged_sets[0], clips=scores.score_table(clips, probabilities))
    return replace(made, judged_sets=[part])


def states(made: Evidence) -> dict[str, str]:
    return {verdict.name: verdict.state for verdict in discrimination.run(made).verdicts}


def test_a_fair_detector_is_green_on_all_three_questions() -> None:
    assert states(evidence()) == {
        "better_than_chance_shooting": "green",
        "better_than_chance_origin": "green",
        "better_than_chance_discharge": "green",
    }


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_labels_turn_every_question_red(seed: int) -> None:
    made = evidence()
    clips = made.judged_sets[0].clips
    # Whole recordings change their scores, as when an index was sorted by mistake.
    order = np.random.default_rng(seed).permutation(clips.num_rows // 5)
    rows = (order[:, None] * 5 + np.arange(5)).ravel()
    assert set(states(rescored(made, scores.joint(clips)[rows])).values()) == {"red"}


def test_swapped_labels_are_red_and_said_to_be_swapped() -> None:
    made = evidence()
    swapped = rescored(made, scores.joint(made.judged_sets[0].clips)[:, ::-1])
    origin = discrimination.run(swapped).verdicts[1]
    assert (origin.name, origin.state) == ("better_than_chance_origin", "red")
    assert "swapped" in origin.says


def test_a_perfect_detector_of_enough_recordings_is_green_and_of_too_few_is_not() -> None:
    assert states(evidence(skill=30.0))["better_than_chance_shooting"] == "green"
    few = (toy.Source("bodycam", "real", 4, 4), toy.Source("doom", "game", 4, 4))
    assert states(evidence(few, skill=30.0))["better_than_chance_shooting"] == "amber"


def test_few_recordings_of_a_weak_detector_are_amber_not_red() -> None:
    few = (toy.Source("bodycam", "real", 3, 3), toy.Source("doom", "game", 3, 3))
    assert states(evidence(few, skill=0.1))["better_than_chance_shooting"] == "amber"


def test_without_a_shooting_there_is_no_verdict_on_shootings() -> None:
    only = (toy.Source("phone", "real", 0, 20), toy.Source("doom", "game", 20, 20))
    found = {v.name: v for v in discrimination.run(evidence(only)).verdicts}
    assert found["better_than_chance_shooting"].state == "grey"
    assert "only one class is present" in found["better_than_chance_shooting"].says
    assert found["better_than_chance_origin"].state == "green"


def test_each_part_has_its_own_verdicts_columns_and_confusion() -> None:
    made = evidence()
    unseen = toy.scored(
        (toy.Source("axon", "real", 5, 5), toy.Source("cs", "game", 5, 5)), "unseen"
    )
    second = JudgedSet("unseen", "Sources held out of training", unseen, toy.clip, "2" * 64)
    section = discrimination.run(replace(made, judged_sets=[*made.judged_sets, second]))
    assert [v.name for v in section.verdicts][3] == "better_than_chance_shooting_unseen"
    assert {len(table.columns) for table in section.panels} == {3}
    assert all(len(row) == 3 for table in section.panels for row in table.rows)
    for part in (made.judged_sets[0], second):
        examples, found = part.examples, section.metrics[part.name]
        assert found["origin"]["auroc"]["value"] == pytest.approx(
            roc_auc_score(examples.origin == "real", examples.p_real), abs=1e-6
        )
        expected = confusion_matrix(examples.actual, examples.predicted, labels=range(4))
        counted = [list(row.values()) for row in found["confusion"].values()]
        assert counted == expected.tolist()
    header, rows = section.plots["aurocs.csv"]
    assert len(rows) == 6
    assert all(len(row) == len(header) for row in rows)


def test_rates_that_the_sample_cannot_show_say_what_they_would_need() -> None:
    section = discrimination.run(evidence())
    shooting = section.metrics["test"]["shooting"]
    assert shooting["tpr_at_fpr_0.0001"]["reason"] == "needs 10,000 negatives, has 1,000"
    assert 0.5 < shooting[PARTIAL_AUROC]["low"] < shooting[PARTIAL_AUROC]["value"]
    written = [cell.soft for row in section.panels[0].rows for cell in row]
    assert "needs 10,000 negatives, has 1,000" in written


def test_the_section_is_json_and_the_same_every_time() -> None:
    one, other = (discrimination.run(evidence(toy.SOURCES)) for _ in range(2))
    assert json.dumps(one.metrics, allow_nan=False) == json.dumps(other.metrics)
    assert one.verdicts == other.verdicts
