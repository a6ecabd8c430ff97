from __future__ import annotations

import pytest

from pipeline.assess.page import findings
from pipeline.assess.statistics.summary import Summary, summarize
from tests.assess import toy


def summary(*sources: toy.Source, **kwargs: float) -> Summary:
    return summarize(toy.examples(sources, **kwargs), toy.FEW_RESAMPLES, num_bins=5)


CAMERA = toy.Source("police", "real", 6, 30, "released by a court")
RENDERER = toy.Source("bodycam", "real", 6, 30, toy.RENDERED)
GAME = toy.Source(
    "doom", "game", 2, 2, "played by Discern's agent in the ViZDoom engine; no real people"
)


def test_a_score_on_rendered_footage_is_never_told_as_one_on_real_shootings() -> None:
    parts = {"test": summary(RENDERER, GAME)}
    verdict = findings.verdict(parts, "clip")
    assert "of rendered shootings" in verdict
    assert "real" not in verdict
    assert findings.warning(parts).startswith("No attack was in this test.")
    assert any("real: bodycam" in text for text in findings.limits(parts, "clip", 1.0))


def test_a_mixture_says_how_many_were_rendered() -> None:
    parts = {"test": summary(RENDERER, CAMERA, GAME)}
    assert "shootings (30 of 60 rendered)" in findings.verdict(parts, "clip")
    assert findings.warning(parts).startswith("30 of the 60 shootings")


def test_real_police_footage_is_still_no_attack() -> None:
    assert "staged" in findings.warning({"test": summary(CAMERA, GAME)})


def test_both_known_and_unseen_sources_stand_in_the_verdict() -> None:
    verdict = findings.verdict({"test": summary(CAMERA, GAME), "unseen": summary(CAMERA)}, "clip")
    assert "sources it knows" in verdict
    assert "sources it has never seen" in verdict


def test_without_shootings_the_verdict_is_about_false_alarms() -> None:
    metrics = summary(toy.Source("phone", "real", 0, 4), GAME)
    verdict = findings.verdict({"footage": metrics}, "file")
    assert verdict.startswith("Of 40 files without a real shooting")
    assert "cannot show" in verdict


def test_too_few_negatives_are_said_in_the_verdict_and_in_the_limits() -> None:
    parts = {"test": summary(toy.Source("police", "real", 4, 4))}
    assert "too few other clips" in findings.verdict(parts, "clip")
    limits = findings.limits(parts, "clip", 1.0)
    assert "Found at 1 % false alarms cannot be measured: needs 100 negatives, has 20." in limits


def test_what_was_absent_is_listed() -> None:
    limits = " ".join(findings.limits({"test": summary(RENDERER)}, "clip", 16 / 15))
    assert "No footage of a real camera was tested." in limits
    assert "No game footage was tested." in limits
    assert "No source was held out" in limits
    assert "81,000 clips: one false alarm in 100 clips is about 810 a day" in limits


def test_the_worst_that_sections_found_is_told() -> None:
    assert findings.faults(["red", "green", "red", "grey"]) == "2 of 4 sections found a fault"
    assert findings.faults(["green", "amber", "grey", None]) == (
        "None of 4 sections found a fault; 1 with caution, 1 that could not tell"
    )
    assert findings.faults(["green"]) == "None of 1 section found a fault"


def test_what_a_threshold_does_on_files_is_told_in_counts() -> None:
    told = findings.file_alerts("each clip alone", 0.25, [True, False], [False] * 3)
    assert "(0.250, each clip alone)" in told
    risen = "1 of 2 files with a real shooting and in 0 of 3 files without a real shooting."
    assert told.endswith(risen)
    told = findings.file_alerts("each clip alone", 1.1, [], [False, True])
    assert "which no score reaches" in told
    assert told.endswith("an alert rises in 1 of 2 files without a real shooting.")


def row(
    source: str, origin: str, weight: float | None, *, rendered: bool = False
) -> dict[str, object]:
    made = {"source": source, "origin": origin, "licence": "CC0-1.0", "rendered": rendered}
    counts = {"train": 8, "val": 2}
    return {**made, **counts, **({} if weight is None else {"origin_weight": weight})}


ENCODER = {"name": "dinov2", "origin": "a package", "licence": "Apache-2.0", "sha256": "0" * 64}


def test_what_the_origin_was_learned_from_leaves_out_what_had_no_weight_on_it() -> None:
    rows = [
        row("places", "real", 1.0),
        row("doom", "game", 1.0),
        row("bodycam", "real", 0.0, rendered=True),
    ]
    said = findings.learned_from([ENCODER], rows)
    assert said == (
        "The origin was learned from 8 clips of 1 real source (places), 8 clips of 1 game source "
        "(doom); rendered clips had no weight on it. It is read from frozen encoders trained "
        "elsewhere: dinov2 (Apache-2.0). The detector hears nothing: it is not given the sound "
        "that clips hold."
    )


def test_what_was_rendered_is_told_apart_with_its_weight() -> None:
    rows = [
        row("places", "real", 1.0),
        row("places", "real", 0.3, rendered=True),
        *(row(f"cinema-{number}", "film", 0.3, rendered=True) for number in range(4)),
    ]
    said = findings.learned_from([ENCODER], rows)
    assert said.startswith(
        "The origin was learned from 8 clips of 1 real source (places); and, with weight 0.3, from "
        "rendered clips: 8 clips of 1 source rendered as real (places), 32 clips of 4 sources "
        "rendered as film. It is read from "
    )
    rendered = findings.learned_from([ENCODER], rows[1:])
    assert rendered.startswith(
        "The origin was learned from nothing that is not rendered; and, with weight 0.3, from "
    )


@pytest.mark.parametrize("rows", [[], [row("doom", "game", 1.0)]])
def test_whether_the_detector_hears_is_said_and_nothing_else_of_sound(
    rows: list[dict[str, object]],
) -> None:
    ear = ENCODER | {"name": "yamnet"}
    said = findings.learned_from([ENCODER], rows, [ear])
    assert said.endswith(
        " A discharge is heard by a frozen encoder trained elsewhere: yamnet (Apache-2.0)."
    )
    assert "hears nothing" not in said
    assert "hears nothing" in findings.learned_from([ENCODER], rows)
    limits = findings.limits({"test": summary(RENDERER)}, "clip", 1.0)
    assert not any("ound is not used" in text or "hears" in text for text in limits)


@pytest.mark.parametrize("footage", [[], [row("doom", "game", None)], [row("doom", "game", 1.0)]])
def test_without_an_encoder_the_origin_was_learned_from_everything(
    footage: list[dict[str, object]],
) -> None:
    assert "all footage together, rendered footage included" in findings.learned_from([], footage)


def test_the_page_leads_with_real_footage_where_there_is_some() -> None:
    said = findings.real_footage({"test": summary(CAMERA, RENDERER, GAME)}, "clip")
    assert said.startswith(
        "On footage that is no computer's imitation, the detector tells 180 real clips of 1 source "
    )
    assert "with imitations as the real side" in said
    assert "fewer than 20" in said
    assert findings.real_footage({"test": summary(RENDERER, GAME)}, "clip") == ""


def test_of_many_files_that_training_had_some_are_named_and_the_rest_counted() -> None:
    names = [f"{number:02}.mp4" for number in range(12)]
    (found,) = findings.learned_files(names, 20)
    assert found.startswith("12 of 20 files were among the samples that training learned from")
    assert found.endswith("08.mp4, 09.mp4 and 2 more, which metrics.json lists.")
    assert findings.learned_files([], 20) == []
