from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.assess.evidence import Evidence
from pipeline.assess.statistics import real_footage
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.suites import real
from pipeline.detect import scores
from tests.assess import toy

CAMERAS = tuple(toy.Source(f"phone-{i}", "real", 5, 10, "released") for i in range(3))
IMITATIONS = (toy.Source("bodycam", "real", 15, 20, toy.RENDERED),)
GAMES = tuple(toy.Source(f"doom-{i}", "game", 10, 10) for i in range(2))


def evidence(*sources: toy.Source, real_logit: float = 2.0) -> Evidence:
    """P(real) of footage that no computer rendered leans by `real_logit`."""
    made = toy.evidence(sources)
    table = made.judged_sets[0].clips
    probabilities = scores.joint(table)
    rng = np.random.default_rng(5)
    camera = np.array(table["origin"].to_pylist()) == "real"
    camera &= ~np.array(table["rendered"].to_pylist(), bool)
    p_real = 1 / (1 + np.exp(-(real_logit + rng.normal(0, 1.5, camera.sum()))))
    p_discharge = scores.marginals(probabilities)[1][camera]
    probabilities[camera] = np.column_stack(
        [
            p_real * p_discharge,
            (1 - p_real) * p_discharge,
            p_real * (1 - p_discharge),
            (1 - p_real) * (1 - p_discharge),
        ]
    )
    clips = scores.score_table(table.select(scores.CLIP_SCHEMA.names), probabilities)
    settings = replace(made.settings, bootstrap=Bootstrap(200, 0.95, 0))
    return replace(made, judged_sets=[replace(made.judged_sets[0], clips=clips)], settings=settings)


def states(made: Evidence) -> dict[str, str]:
    return {one.name: one.state for one in real.run(made).verdicts}


def test_a_detector_that_knows_the_world_is_green_and_says_how_few_sources_it_saw() -> None:
    section = real.run(evidence(*CAMERAS, *IMITATIONS, *GAMES))
    assert [one.state for one in section.verdicts] == ["green", "green"]
    assert all("3 real sources, fewer than 20" in one.says for one in section.verdicts)


def test_a_detector_that_knows_the_renderer_is_red_on_both() -> None:
    section = real.run(evidence(*CAMERAS, *IMITATIONS, *GAMES, real_logit=-3.0))
    assert [one.state for one in section.verdicts] == ["red", "red"]
    assert "recognises the renderer rather than the world" in section.verdicts[1].says


def test_without_real_footage_it_says_so() -> None:
    section = real.run(evidence(*IMITATIONS, *GAMES))
    assert [(one.name, one.state) for one in section.verdicts] == [
        ("origin_on_real_footage", "grey")
    ]
    assert "there is no real footage" in section.verdicts[0].says
    assert "every source labelled real is an imitation" in section.panels[0].caption


def test_without_imitations_real_footage_is_judged_by_itself() -> None:
    assert states(evidence(*CAMERAS, *GAMES)) == {
        "origin_on_real_footage": "green",
        "real_below_imitations": "grey",
    }


def test_numbers_of_each_group_are_against_the_same_fictional_footage() -> None:
    made = evidence(*CAMERAS, *IMITATIONS, *GAMES, real_logit=0.5)
    examples = made.judged_sets[0].examples
    found = real.run(made).metrics["test"]["example"]
    aurocs = []
    for group in real_footage.GROUPS:
        own = real_footage.members(examples, group)
        chosen = own | (examples.origin == "game")
        aurocs.append(roc_auc_score(own[chosen], examples.p_real[chosen]))
        assert found[group]["origin"]["auroc"]["value"] == pytest.approx(aurocs[-1], abs=1e-6)
        shooting = (own & examples.is_shooting)[chosen]
        assert found[group]["shooting"]["auroc"]["value"] == pytest.approx(
            roc_auc_score(shooting, examples.score[chosen]), abs=1e-6
        )
    assert found["difference"]["value"] == pytest.approx(aurocs[0] - aurocs[1], abs=1e-6)


def test_rendered_games_and_films_stand_in_a_row_of_their_own_and_in_no_other() -> None:
    imitated = toy.Source("arcade", "film", 10, 10, toy.RENDERED)
    made = evidence(*CAMERAS, *IMITATIONS, *GAMES, imitated, real_logit=0.5)
    examples = made.judged_sets[0].examples
    found = real.run(made).metrics["test"]["example"]["real"]
    own = real_footage.members(examples, "real")
    for name, others in (
        ("origin", examples.origin == "game"),
        ("against_rendered", examples.origin == "film"),
    ):
        chosen = own | others
        result = found[name]["auroc"] if name == "origin" else found[name]
        expected = roc_auc_score(own[chosen], examples.p_real[chosen])
        assert result["value"] == pytest.approx(expected, abs=1e-6)
    assert found["against"]["film"]["value"] is None


def test_where_all_fiction_is_rendered_the_origin_cannot_be_judged() -> None:
    imitated = toy.Source("arcade", "game", 10, 10, toy.RENDERED)
    assert set(states(evidence(*CAMERAS, *IMITATIONS, imitated)).values()) == {"grey"}


def test_sources_of_real_footage_stand_with_authority_licence_and_counts() -> None:
    rows = real.run(evidence(*CAMERAS, *IMITATIONS, *GAMES)).panels[0].rows
    assert [cell.text for cell in rows[0]] == ["phone-0", "test", "released", "CC0-1.0", "15", "75"]
    assert len(rows) == len(CAMERAS)


def test_by_recording_every_recording_counts_once_and_sources_are_resampled() -> None:
    made = evidence(*CAMERAS, *IMITATIONS, *GAMES)
    clips = made.judged_sets[0].examples
    one = real_footage.by_recording(clips)
    assert len(one) == 45 + 35 + 40
    assert set(one.cluster) == set(clips.source)
    first = clips.cluster == clips.cluster[0]
    assert one.p_real[0] == pytest.approx(clips.p_real[first].mean())
    assert one.score[0] == clips.score[first].max()


def test_by_recording_a_missing_interval_is_laid_to_sources() -> None:
    found = real.run(evidence(*CAMERAS, *IMITATIONS, *GAMES)).metrics["test"]["recording"]
    auroc = found["imitations"]["origin"]["auroc"]
    assert auroc["reason"] == "all positive examples are of one source"


def test_generated_video_has_a_row_only_where_there_is_some() -> None:
    without = real.run(evidence(*CAMERAS, *GAMES)).metrics["test"]["example"]["real"]
    assert set(without["against"]) == {"game", "film"}
    made = evidence(*CAMERAS, *GAMES, toy.Source("dreams", "generated", 3, 3))
    assert real.run(made).metrics["test"]["example"]["real"]["against"]["generated"]["value"] > 0.5


def test_the_section_is_json_and_the_same_every_time() -> None:
    one, other = (real.run(evidence(*CAMERAS, *IMITATIONS, *GAMES)) for _ in range(2))
    assert json.dumps(one.metrics, allow_nan=False) == json.dumps(other.metrics)
    header, rows = one.plots["aurocs.csv"]
    assert all(len(row) == len(header) for row in rows)
