from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.assess.evidence import Evidence, Section, Verdict
from pipeline.assess.examples import MOST_SOURCES
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.suites.sources import sources
from pipeline.detect import scores
from tests.assess import toy

KNOWN = (
    toy.Source("axon", "real", 30, 30),
    toy.Source("phone", "real", 30, 30),
    toy.Source("doom", "game", 30, 30),
    toy.Source("sintel", "film", 20, 20),
)
UNSEEN = (toy.Source("motorola", "real", 30, 30), toy.Source("quake", "game", 30, 30))


def part(name: str, made: tuple[toy.Source, ...], logits=None, **kwargs) -> JudgedSet:
    """Clips of `made`; `logits(origin, discharge, source, rng)` replaces P(discharge) and score."""
    table = toy.clips(made, name)
    probabilities = toy.probabilities(table, **kwargs)
    if logits is not None:
        rng = np.random.default_rng(7)
        columns = (np.array(table[c].to_pylist()) for c in ("origin", "discharge", "source"))
        real, score = (1 / (1 + np.exp(-x)) for x in logits(*columns, rng))
        probabilities = np.column_stack(
            [real * score, (1 - real) * score, real * (1 - score), (1 - real) * (1 - score)]
        )
    return JudgedSet(name, name, scores.score_table(table, probabilities), toy.clip, "0" * 64)


def evidence(*parts: JudgedSet) -> Evidence:
    made = toy.evidence()
    settings = replace(made.settings, bootstrap=Bootstrap(200, 0.95, 0))
    return replace(made, judged_sets=list(parts), settings=settings)


def found(section: Section) -> dict[str, Verdict]:
    return {verdict.name: verdict for verdict in section.verdicts}


def test_a_clean_detector_is_green_everywhere() -> None:
    section = sources.run(evidence(part("test", KNOWN), part("unseen", UNSEEN, seed=1)))
    assert {name: verdict.state for name, verdict in found(section).items()} == {
        "worst_source": "green",
        "drop_on_unseen_sources": "green",
        "source_confound": "green",
    }


def test_each_source_meets_the_other_answer_of_all_other_sources() -> None:
    one, two = part("test", KNOWN), part("unseen", UNSEEN, seed=1)
    section = sources.run(evidence(one, two))
    pooled = [(row, p) for p in (one, two) for row in p.clips.to_pylist()]
    for name in ("axon", "quake"):
        wins = []
        own = [r for r, _ in pooled if r["source"] == name]
        others = [r for r, _ in pooled if r["source"] != name]
        for first, second in ((own, others), (others, own)):
            high = [r["score"] for r in first if r["origin"] == "real" and r["discharge"]]
            low = [r["score"] for r in second if r["origin"] != "real" or not r["discharge"]]
            wins.append(np.sign(np.subtract.outer(high, low)).ravel() / 2 + 0.5)
        expected = np.concatenate(wins).mean()
        assert section.metrics["sources"][name]["auroc"]["value"] == pytest.approx(
            expected, abs=1e-6
        )


def test_unseen_titles_and_cameras_stand_apart_from_unseen_recordings() -> None:
    known, unseen = part("test", KNOWN), part("unseen", UNSEEN, skill=0.7)
    compared = sources.run(evidence(known, unseen)).metrics["known_and_unseen"]
    first, second = known.examples, unseen.examples
    for name, high, low in (
        ("known", first.score[first.is_shooting], first.score[~first.is_shooting]),
        ("unseen", second.score[second.is_shooting], second.score[~second.is_shooting]),
        ("unseen_cameras", second.score[second.is_shooting], first.score[~first.is_shooting]),
        (
            "unseen_titles",
            first.score[first.is_shooting],
            second.score[second.origin != "real"],
        ),
    ):
        expected = roc_auc_score(
            np.repeat([1, 0], [high.size, low.size]), np.concatenate([high, low])
        )
        assert compared[name]["auroc"]["value"] == pytest.approx(expected, abs=1e-6), name
    drop = compared["unseen"]["drop"]
    assert drop["value"] == pytest.approx(
        compared["known"]["auroc"]["value"] - compared["unseen"]["auroc"]["value"], abs=2e-6
    )


def test_a_detector_that_fails_on_unseen_sources_is_red() -> None:
    verdict = found(sources.run(evidence(part("test", KNOWN), part("unseen", UNSEEN, skill=0.0))))[
        "drop_on_unseen_sources"
    ]
    assert verdict.state == "red"
    assert "does not carry over" in verdict.says


def test_a_detector_that_guesses_everywhere_carries_nothing_over() -> None:
    guesses = part("test", KNOWN, skill=0.0, seed=3), part("unseen", UNSEEN, skill=0.0)
    verdict = found(sources.run(evidence(*guesses)))["drop_on_unseen_sources"]
    assert verdict.state != "green"


def test_shootings_alone_cannot_tell_whether_the_source_gives_the_answer() -> None:
    alone = part("test", (toy.Source("axon", "real", 20, 0), KNOWN[2]))
    assert found(sources.run(evidence(alone)))["source_confound"].state == "grey"


def test_few_unseen_recordings_leave_the_drop_open() -> None:
    few = (toy.Source("motorola", "real", 3, 3), toy.Source("quake", "game", 3, 3))
    section = sources.run(evidence(part("test", KNOWN), part("unseen", few, skill=1.0)))
    assert found(section)["drop_on_unseen_sources"].state == "amber"


def test_held_out_games_alone_still_give_a_drop() -> None:
    unseen = part("unseen", UNSEEN[1:], lambda o, d, s, rng: (3 + rng.normal(0, 1, o.size),) * 2)
    section = sources.run(evidence(part("test", KNOWN), unseen))
    assert section.metrics["known_and_unseen"]["unseen"]["auroc"]["value"] is None
    assert found(section)["drop_on_unseen_sources"].state == "red"


def test_without_a_held_out_source_nothing_is_said_about_new_ones() -> None:
    verdict = found(sources.run(evidence(part("test", KNOWN))))["drop_on_unseen_sources"]
    assert verdict.state == "grey"
    assert "No source was held out" in verdict.says


def test_one_failing_source_is_named_in_red() -> None:
    def fails_on_quake(origin, discharge, source, rng):
        noise = rng.normal(0, 1, (2, origin.size))
        real = np.where(origin == "real", 2.0, -2.0) + 6 * (source == "doom")
        return real + noise[0], 4 * discharge - 2 + 4 * (source == "doom") + noise[1]

    verdict = found(sources.run(evidence(part("test", KNOWN, fails_on_quake))))["worst_source"]
    assert verdict.state == "red"
    assert "the worst is doom" in verdict.says


def test_the_lowest_of_many_equal_sources_is_not_red() -> None:
    many = tuple(toy.Source(f"camera-{i:02}", "real", 6, 6) for i in range(20))
    section = sources.run(evidence(part("test", (*many, KNOWN[2]), skill=0.6)))
    assert found(section)["worst_source"].state != "red"
    spread = section.metrics
    assert spread["num_sources"] == 21
    assert spread["deviation"] < 1.5 * spread["deviation_by_chance"]


def test_the_interval_of_the_worst_is_widened_for_having_been_picked() -> None:
    section = sources.run(evidence(part("test", KNOWN, skill=0.5)))
    worst = section.metrics["sources"][section.metrics["worst"]]["auroc"]
    low, high = re.search(r"\((\S+) to (\S+)\)", found(section)["worst_source"].says).groups()
    assert float(low) < worst["low"] - 0.005
    assert float(high) > worst["high"] + 0.005


def test_sources_of_few_recordings_are_shown_but_carry_no_verdict() -> None:
    small = toy.Source("kodak", "real", 0, 4)
    section = sources.run(evidence(part("test", (*KNOWN, small))))
    assert section.metrics["num_sources_too_small"] == 1
    assert "1 of 5 sources are too small" in found(section)["worst_source"].says
    assert section.metrics["sources"]["kodak"]["auroc"]["value"] is not None
    assert section.rows["sources.parquet"].num_rows == 5


def confounded(num_shooting: int) -> tuple[toy.Source, ...]:
    """Nearly all shootings from one camera, nearly everything else from the other."""
    return (
        toy.Source("axon", "real", num_shooting, 40 - num_shooting),
        toy.Source("phone", "real", 40 - num_shooting, num_shooting),
        toy.Source("doom", "game", 30, 30),
    )


def reads_the_source(origin, discharge, source, rng):
    noise = rng.normal(0, 1, (2, origin.size))
    return np.where(origin == "real", 3.0, -3.0) + noise[0], 5.0 * (source == "axon") - 2 + noise[1]


def test_a_detector_that_recognises_the_camera_of_the_shootings_is_red() -> None:
    section = sources.run(evidence(part("test", confounded(34), reads_the_source)))
    verdict = found(section)["source_confound"]
    assert verdict.state == "red"
    assert "follows the source" in verdict.says
    confound = section.metrics["confound"]
    assert confound["pooled_auroc"]["value"] > 0.75
    assert 0.35 < confound["within_source_auroc"]["value"] < 0.65
    variance = confound["score_variance"]["real"]
    assert variance["by_source"] > 0.6 > 0.1 > variance["by_class"]
    assert variance["p"] == pytest.approx(1 / 201, abs=1e-6)


def test_a_score_that_follows_the_source_more_than_the_class_is_amber() -> None:
    def reads_both(origin, discharge, source, rng):
        real, score = reads_the_source(origin, discharge, source, rng)
        return real, score + 2.0 * discharge

    verdict = found(sources.run(evidence(part("test", confounded(20), reads_both))))
    assert verdict["source_confound"].state == "amber"
    assert "more than the class" in verdict["source_confound"].says


def test_the_same_footage_under_a_detector_of_shootings_is_green() -> None:
    section = sources.run(evidence(part("test", confounded(34))))
    assert found(section)["source_confound"].state == "green"


def test_shootings_of_one_camera_that_shows_nothing_else_are_red_whatever_the_score() -> None:
    verdict = found(sources.run(evidence(part("test", confounded(40)))))["source_confound"]
    assert verdict.state == "red"
    assert "The source alone tells the answer" in verdict.says


def test_a_weak_detector_is_not_accused_of_reading_sources() -> None:
    section = sources.run(evidence(part("test", confounded(20), skill=0.1)))
    assert found(section)["source_confound"].state == "amber"


def test_shootings_of_a_single_camera_are_amber_though_found_within_it() -> None:
    single = (toy.Source("axon", "real", 30, 30), toy.Source("phone", "real", 0, 30), KNOWN[2])
    verdict = found(sources.run(evidence(part("test", single))))["source_confound"]
    assert verdict.state == "amber"
    assert "All real shootings are of one source, axon" in verdict.says


def test_without_shootings_nothing_is_judged_and_nothing_breaks() -> None:
    section = sources.run(evidence(part("test", (toy.Source("phone", "real", 0, 9), KNOWN[2]))))
    assert {verdict.state for verdict in section.verdicts} == {"grey"}
    json.dumps(section.metrics, allow_nan=False)


def test_names_of_an_index_are_text_in_the_figure() -> None:
    hostile = toy.Source("<b>x</b>", "real", 10, 10)
    section = sources.run(evidence(part("test", (hostile, *KNOWN))))
    figure = next(panel for panel in section.panels if hasattr(panel, "spec"))
    written = json.dumps(figure.spec, allow_nan=False)
    assert "<b>" not in written
    assert "&lt;b&gt;" in written


def test_the_section_is_the_same_every_time_and_its_table_holds_its_numbers() -> None:
    one, two = (sources.run(evidence(part("test", KNOWN))) for _ in range(2))
    assert json.dumps(one.metrics, allow_nan=False) == json.dumps(two.metrics)
    assert one.rows["sources.parquet"].equals(two.rows["sources.parquet"])
    for row in one.rows["sources.parquet"].to_pylist():
        assert one.metrics["sources"][row["source"]]["auroc"]["value"] == row["auroc"]


def test_sources_without_end_are_bounded_and_counted() -> None:
    many = tuple(toy.Source(f"game-{i:03}", "game", 1, 1) for i in range(100))
    section = sources.run(evidence(part("test", (*KNOWN, *many))))
    assert section.metrics["num_sources_left_out"] == 101 - MOST_SOURCES
    assert len(section.rows["sources.parquet"]) == MOST_SOURCES + 3
    assert "81 sources with fewer recordings" in section.panels[0].caption
