from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.assess.evidence import Evidence, Section
from pipeline.assess.examples import MOST_SOURCES
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.suites.sources import floors
from pipeline.detect import scores
from tests.assess import toy

SOURCES = (
    *(toy.Source(f"camera-{i}", "real", 15, 15) for i in range(3)),
    *(toy.Source(f"game-{i}", "game", 15, 15) for i in range(3)),
    *(toy.Source(f"film-{i}", "film", 15, 15) for i in range(2)),
)


def evidence(sources=SOURCES, shift=None, spread: float = 1.0, seed: int = 0) -> Evidence:
    """P(real) from a logit of ±2, `shift(origin, discharge, source)`, and noise by recording."""
    table = toy.clips(sources)
    rng = np.random.default_rng(seed)
    origin, discharge, source, recording = (
        np.array(table[name].to_pylist()) for name in ("origin", "discharge", "source", "recording")
    )
    logit = np.where(origin == "real", 2.0, -2.0)
    if shift is not None:
        logit = shift(origin, discharge, source)
    unit = np.unique(recording, return_inverse=True)[1]
    logit = logit + spread * (rng.normal(size=unit.max() + 1)[unit] + rng.normal(size=unit.size))
    real = 1 / (1 + np.exp(-logit))
    probabilities = np.column_stack([real / 2, (1 - real) / 2, real / 2, (1 - real) / 2])
    part = JudgedSet("test", "test", scores.score_table(table, probabilities), toy.clip, "0" * 64)
    made = toy.evidence()
    settings = replace(made.settings, bootstrap=Bootstrap(400, 0.95, 0))
    return replace(made, judged_sets=[part], settings=settings)


def number(source: np.ndarray) -> np.ndarray:
    return np.array([int(name[-1]) for name in source])


def states(section: Section) -> dict[str, str]:
    return {verdict.name: verdict.state for verdict in section.verdicts}


def test_a_clean_score_is_certified() -> None:
    section = floors.run(evidence())
    assert states(section) == {"real_vs_game": "green", "real_vs_film": "green"}
    margin = section.metrics["margins"]["real_vs_game"]
    assert margin["margin"]["low"] > 0.05
    assert margin["floor"]["p"] > 0.05
    assert margin["floor"]["value"] == pytest.approx(margin["floor"]["by_chance"], abs=0.06)
    assert margin["floor"]["num_pairs"] == 3


def test_many_games_that_are_alike_do_not_hide_two_cameras_that_are_told_apart() -> None:
    sources = (
        *(toy.Source(f"camera-{i}", "real", 15, 15) for i in range(2)),
        *(toy.Source(f"game-{i}", "game", 15, 15) for i in range(6)),
    )

    def shift(origin, discharge, source):
        return np.where(origin == "real", np.where(number(source) == 0, 3.0, 0.0), -0.5)

    verdicts = states(floors.run(evidence(sources, shift)))
    assert verdicts["real_vs_game"] != "green"


def test_one_camera_alone_leaves_its_floor_unknown() -> None:
    sources = (SOURCES[0], *SOURCES[3:6])
    assert states(floors.run(evidence(sources)))["real_vs_game"] == "amber"


def test_each_pair_is_ranked_at_equal_discharge() -> None:
    made = evidence()
    section = floors.run(made)
    rows = made.judged_sets[0].clips.to_pylist()
    p_real = made.judged_sets[0].examples.p_real
    wins = []
    for discharge in (0, 1):
        first, second = (
            p_real[[r["source"] == name and r["discharge"] == discharge for r in rows]]
            for name in ("game-0", "game-2")
        )
        wins.append(np.sign(np.subtract.outer(first, second)).ravel() / 2 + 0.5)
    pair = next(
        row
        for row in section.rows["pairs.parquet"].to_pylist()
        if (row["first"], row["second"]) == ("game-0", "game-2")
    )
    assert pair["auroc"] == pytest.approx(np.concatenate(wins).mean(), abs=1e-6)
    pairs = [r for r in section.rows["pairs.parquet"].to_pylist() if r["origin"] == "game"]
    floor = 0.5 + np.mean([abs(row["auroc"] - 0.5) for row in pairs])
    assert section.metrics["floors"]["game"]["value"] == pytest.approx(floor, abs=1e-5)


def test_a_score_that_reads_sources_is_caught() -> None:
    def by_source(origin, discharge, source):
        return 3.0 * number(source) - 3 + 0.5 * (origin == "real")

    section = floors.run(evidence(shift=by_source, spread=0.7))
    assert states(section) == {"real_vs_game": "red", "real_vs_film": "red"}
    assert section.verdicts[0].says.startswith("Caught: P(real) reads sources.")
    found = section.metrics["margins"]["real_vs_game"]
    assert found["floor"]["low"] > 0.8
    assert found["margin"]["high"] < 0


def test_a_score_that_is_mere_noise_is_near_the_floor_and_not_caught() -> None:
    for seed in range(3):
        section = floors.run(evidence(shift=lambda o, d, s: np.zeros(o.size), seed=seed))
        assert set(states(section).values()) == {"amber"}


def test_swapped_labels_are_no_reading_of_sources() -> None:
    swapped = floors.run(evidence(shift=lambda o, d, s: np.where(o == "real", -2.0, 2.0)))
    assert swapped.metrics["margins"]["real_vs_game"]["margin"]["high"] < 0
    assert states(swapped)["real_vs_game"] == "amber"


def test_a_source_with_more_discharges_is_not_told_apart_by_them() -> None:
    uneven = (
        toy.Source("camera-0", "real", 25, 5),
        toy.Source("camera-1", "real", 5, 25),
        toy.Source("game-0", "game", 15, 15),
    )

    def by_discharge(origin, discharge, source):
        return np.where(origin == "real", 2.0, -2.0) + 6.0 * discharge

    section = floors.run(evidence(uneven, by_discharge))
    floor = section.metrics["floors"]["real"]
    # Without regard to discharge the two cameras would be 0.8 apart.
    assert floor["value"] < 0.65
    assert floor["low"] == 0.5


def test_few_recordings_are_neither_certified_nor_caught() -> None:
    few = tuple(replace(source, num_shooting=3, num_other=2) for source in SOURCES)
    section = floors.run(evidence(few, spread=2.0))
    assert states(section)["real_vs_game"] == "amber"
    assert "for want of recordings" in section.verdicts[0].says


def test_small_sources_are_left_out_and_counted() -> None:
    section = floors.run(evidence((*SOURCES, toy.Source("game-9", "game", 2, 2))))
    assert section.metrics["num_sources_too_small"] == 1
    assert section.metrics["num_sources"] == 8
    assert section.rows["pairs.parquet"].num_rows == 3 + 3 + 1
    assert section.plots["pairs.csv"][0] == ("origin", "first", "second", "auroc")


def test_without_two_sources_of_an_origin_there_is_no_floor() -> None:
    alone = (toy.Source("camera-0", "real", 9, 9), toy.Source("game-0", "game", 9, 9))
    section = floors.run(evidence(alone))
    assert states(section) == {"real_vs_game": "grey", "real_vs_film": "grey"}
    assert section.metrics["floors"]["real"] is None
    assert section.rows["pairs.parquet"].num_rows == 0
    assert section.plots["pairs.csv"][1] == []
    json.dumps(section.metrics, allow_nan=False)


def test_the_interval_of_a_floor_holds_the_truth_as_often_as_it_says() -> None:
    # Three equal cameras: the floor is 0.5, though every sample's lies above it.
    held = 0
    for seed in range(40):
        section = floors.run(evidence(SOURCES[:3] + SOURCES[3:4], seed=seed))
        floor = section.metrics["floors"]["real"]
        assert floor["value"] > 0.5
        held += floor["low"] == 0.5
    assert held >= 36


def test_the_section_is_the_same_every_time() -> None:
    one, two = (floors.run(evidence()) for _ in range(2))
    assert json.dumps(one.metrics, allow_nan=False) == json.dumps(two.metrics)
    assert one.rows["pairs.parquet"].equals(two.rows["pairs.parquet"])


def test_names_of_an_index_are_text_in_the_figure() -> None:
    hostile = (*SOURCES, toy.Source("<img src=x>", "real", 10, 10))
    figure = floors.run(evidence(hostile)).panels[-1]
    written = json.dumps(figure.spec, allow_nan=False)
    assert "<img" not in written
    assert "&lt;img" in written


def test_sources_without_end_are_bounded_and_counted() -> None:
    many = tuple(toy.Source(f"game-{i:03}", "game", 3, 2) for i in range(60))
    section = floors.run(evidence((*SOURCES[:2], *many)))
    assert section.metrics["num_sources"] == MOST_SOURCES + 2
    assert section.metrics["num_sources_left_out"] == 60 - MOST_SOURCES
    assert section.rows["pairs.parquet"].num_rows == MOST_SOURCES * (MOST_SOURCES - 1) // 2 + 1
    assert "So are 40 with fewer recordings" in section.panels[1].caption


def test_the_table_lists_the_pairs_furthest_from_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floors, "_MAX_LISTED", 3)
    section = floors.run(evidence())
    pairs = section.rows["pairs.parquet"].to_pylist()
    furthest = sorted((abs(row["auroc"] - 0.5) for row in pairs), reverse=True)[:3]
    listed = [abs(row[-1].sort - 0.5) for row in section.panels[1].rows]
    assert sorted(listed, reverse=True) == furthest
    assert f"the 3 of {len(pairs)} pairs furthest from 0.5" in section.panels[1].caption


def test_generated_video_has_a_margin_of_its_own() -> None:
    made = (*SOURCES, *(toy.Source(f"dream-{i}", "generated", 15, 15) for i in range(3)))
    section = floors.run(evidence(made))
    assert set(section.metrics["margins"]) == {"real_vs_game", "real_vs_film", "real_vs_generated"}
    assert set(section.metrics["floors"]) == {"real", "game", "film", "generated"}
