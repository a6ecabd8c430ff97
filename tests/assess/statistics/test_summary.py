from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.assess.examples import MOST_SOURCES
from pipeline.assess.statistics.measurement import as_json
from pipeline.assess.statistics.summary import headline, summarize
from pipeline.store.manifest import CLASSES, REAL_SHOOTING
from tests.assess import toy

EXAMPLES = toy.examples()
FOUND = summarize(EXAMPLES, toy.FEW_RESAMPLES, num_bins=5)


def test_each_question_is_judged_by_its_own_probability() -> None:
    for name, positive, probability in (
        ("shooting", EXAMPLES.actual == REAL_SHOOTING, EXAMPLES.score),
        ("origin", EXAMPLES.origin == "real", EXAMPLES.p_real),
        ("discharge", EXAMPLES.discharge, EXAMPLES.p_discharge),
    ):
        expected = roc_auc_score(positive, probability)
        assert FOUND.questions[name]["auroc"].value == pytest.approx(expected, abs=1e-6), name


def test_a_source_without_shootings_is_set_against_all_shootings() -> None:
    chosen = (EXAMPLES.source == "phone") | EXAMPLES.is_shooting
    expected = roc_auc_score(EXAMPLES.is_shooting[chosen], EXAMPLES.score[chosen])
    phone = FOUND.sources["phone"]
    assert phone.shooting["auroc"].value == pytest.approx(expected, abs=1e-6)
    own = EXAMPLES.source == "phone"
    expected_brier = np.square(EXAMPLES.score[own]).mean()
    assert phone.shooting["brier"].value == pytest.approx(expected_brier, abs=1e-6)


def test_a_source_with_both_answers_is_judged_by_itself() -> None:
    own = EXAMPLES.source == "bodycam"
    expected = roc_auc_score(EXAMPLES.is_shooting[own], EXAMPLES.score[own])
    found = FOUND.sources["bodycam"].shooting["auroc"].value
    assert found == pytest.approx(expected, abs=1e-6)


def test_origins_are_also_told_apart_in_pairs() -> None:
    chosen = np.isin(EXAMPLES.origin, ["real", "game"])
    expected = roc_auc_score(EXAMPLES.origin[chosen] == "real", EXAMPLES.p_real[chosen])
    pairs = FOUND.origin_pairs
    assert pairs["real_vs_game"]["auroc"].value == pytest.approx(expected, abs=1e-6)
    assert set(pairs) == {"real_vs_game", "film_vs_game", "real_vs_film", "real_film_vs_game"}


def test_confusions_count_every_example_once_and_sum_over_sources() -> None:
    overall = FOUND.confusion
    assert sum(sum(row.values()) for row in overall.values()) == len(EXAMPLES)
    for actual in CLASSES:
        by_source = [
            sum(source.confusion.get(actual, {}).values()) for source in FOUND.sources.values()
        ]
        assert sum(by_source) == sum(overall[actual].values()), actual


def test_rendered_shootings_are_counted_apart() -> None:
    assert FOUND.num_shootings == FOUND.num_shootings_rendered == 20
    assert FOUND.sources["bodycam"].rendered
    assert not FOUND.sources["phone"].rendered


def test_a_collection_without_shootings_still_gives_false_alarms_and_origins() -> None:
    examples = toy.examples((toy.Source("phone", "real", 0, 4), toy.Source("doom", "game", 2, 2)))
    found = summarize(examples, toy.FEW_RESAMPLES, num_bins=5)
    assert found.shooting["auroc"].value is None
    assert found.false_alarms.value == (examples.predicted == REAL_SHOOTING).mean()
    assert found.origin_pairs["real_vs_game"]["auroc"].known > 0.5
    assert found.origin_pairs["real_vs_film"]["auroc"].value is None


def test_metrics_are_json_without_nan_and_the_same_every_time() -> None:
    text = json.dumps(as_json(FOUND), allow_nan=False)
    again = summarize(toy.examples(), toy.FEW_RESAMPLES, num_bins=5)
    assert json.dumps(as_json(again), allow_nan=False) == text


def test_the_headline_is_short_and_taken_from_the_summary() -> None:
    found = headline(FOUND)
    assert len(found) < 20
    assert found["auroc.value"] == FOUND.shooting["auroc"].value
    assert found["auroc.low"] == FOUND.shooting["auroc"].low
    assert found["tpr_at_fpr_0.001.value"] is None
    by_source = [source.shooting["auroc"].known for source in FOUND.sources.values()]
    assert found["worst_source_auroc"] == min(by_source)


def test_sources_without_end_are_bounded_and_counted() -> None:
    sources = tuple(toy.Source(f"game-{i:03}", "game", 1, 0) for i in range(200))
    examples = toy.examples((*sources, toy.Source("phone", "real", 2, 2)))
    found = summarize(examples, toy.FEW_RESAMPLES, num_bins=5)
    assert set(found.sources) == set(examples.largest_sources())
    assert len(found.sources) == MOST_SOURCES + 1
    assert found.num_sources_left_out == 200 - MOST_SOURCES
    assert found.num_examples == len(examples)
    assert FOUND.num_sources_left_out == 0


def test_generated_video_is_fictional_and_reported_apart_where_there_is_some() -> None:
    made = (*toy.SOURCES, toy.Source("dreams", "generated", 2, 2))
    examples = toy.examples(made)
    found = summarize(examples, toy.FEW_RESAMPLES, num_bins=4)
    chosen = np.isin(examples.origin, ["real", "generated"])
    expected = roc_auc_score(examples.origin[chosen] == "real", examples.p_real[chosen])
    pair = found.origin_pairs["real_vs_generated"]["auroc"]
    assert pair.value == pytest.approx(expected, abs=1e-6)
    assert found.num_shootings == FOUND.num_shootings
    assert found.sources["dreams"].confusion.keys() == {
        "fictional_shooting",
        "fictional_other",
    }
