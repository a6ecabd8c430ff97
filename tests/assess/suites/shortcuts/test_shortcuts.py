from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.assess.evidence import Section, Table, Verdict
from pipeline.assess.examples import Examples
from pipeline.assess.suites.robustness import robustness
from pipeline.assess.suites.shortcuts import counterfactuals, shortcuts
from pipeline.detect import scores
from pipeline.store.manifest import PRESENT
from pipeline.store.packed_samples import Sample
from tests.assess import pixels, toy
from tests.assess.pixels import Feature
from tests.assess.toy import Source


def judged(paint: Callable[..., np.ndarray], look: Feature) -> dict[str, Verdict]:
    section = shortcuts.run(pixels.evidence(paint, look))
    return {verdict.name: verdict for verdict in section.verdicts}


@pytest.fixture(scope="module")
def clean() -> Section:
    return shortcuts.run(pixels.evidence(pixels.paint_scene, pixels.look_at_scene))


def state(section: Section, name: str) -> str:
    return next(verdict.state for verdict in section.verdicts if verdict.name == name)


@pytest.mark.parametrize(
    "name", ["reads_brightness", "reads_border", "reads_overlays", "overlays_turn_decisions"]
)
def test_a_detector_that_looks_at_the_scene_is_green(clean: Section, name: str) -> None:
    assert state(clean, name) == "green"


def test_a_detector_that_reads_only_brightness_is_red() -> None:
    found = judged(pixels.paint_brightness, pixels.look_at_brightness)["reads_brightness"]
    assert found.state == "red"
    assert found.says.startswith("Without colour, and with every frame equally bright, the")


def test_a_timestamp_that_only_one_class_has_is_red_if_the_detector_reads_it() -> None:
    found = judged(pixels.paint_timestamp, pixels.look_at_corner)
    assert found["reads_overlays"].state == "red"
    assert found["reads_border"].state == "green"
    blind = judged(pixels.paint_timestamp, pixels.look_at_scene)
    assert blind["reads_overlays"].state == "green"


def test_a_detector_that_reads_only_the_border_is_red() -> None:
    found = judged(pixels.paint_rim, pixels.look_at_rim)
    assert found["reads_border"].state == "red"
    assert found["reads_overlays"].state == "green"


def heard(told: str) -> dict[str, Verdict]:
    """The verdicts on a detector that tells the origin or the discharge by how loud a clip is."""
    base = pixels.evidence(pixels.paint_scene, pixels.look_at_scene)
    silent = base.judged_sets[0]
    rows = silent.clips.to_pylist()

    def read(number: int) -> Sample:
        clip, row = silent.read(number), rows[number]
        is_loud = row["origin"] == "real" if told == "origin" else bool(row["discharge"])
        sound = np.random.default_rng(number).normal(0, 3000 if is_loud else 100, clip.sound.size)
        return replace(clip, sound=sound.astype(np.int16), presence=PRESENT)

    def predict(frames: np.ndarray, sounds: np.ndarray) -> np.ndarray:
        # Whether it is real, and not how surely, which motion has a say in.
        logits = np.sign([pixels.look_at_scene(one) for one in frames])
        rms = np.sqrt(np.square(sounds.astype(float)).mean(axis=1)) + 1
        logits[:, 0 if told == "origin" else 1] = np.log(rms / 600)
        real, discharge = 1 / (1 + np.exp(-3 * logits)).T
        pairs = (real, 1 - real)
        return np.stack([o * d for d in (discharge, 1 - discharge) for o in pairs], axis=1)

    clips = [read(number) for number in range(len(rows))]
    said = predict(np.stack([c.frames for c in clips]), np.stack([c.sound for c in clips]))
    scored = scores.score_table(silent.clips.select(scores.CLIP_SCHEMA.names), said)
    part = replace(silent, clips=scored, read=read)
    given = replace(base, judged_sets=[part], val=replace(part, name="val"), predict=predict)
    return {verdict.name: verdict for verdict in shortcuts.run(given).verdicts}


def test_a_detector_that_takes_loudness_for_real_is_red_without_sound_and_with_any() -> None:
    found = heard("origin")
    assert found["needs_sound"].state == "red"
    assert found["follows_any_sound"].state == "red"


def test_a_detector_that_hears_discharges_alone_is_not_green_without_sound() -> None:
    assert heard("discharge")["needs_sound"].state == "amber"


def test_what_is_heard_excuses_no_border_and_accuses_none() -> None:
    """Discharges are heard whatever is left to be seen, which is not the border's doing."""
    assert heard("discharge")["reads_border"].state == "green"


@pytest.mark.parametrize("name", ["needs_sound", "follows_any_sound"])
def test_a_deaf_detector_cannot_be_judged_by_sound(clean: Section, name: str) -> None:
    assert state(clean, name) == "grey"


def test_a_deaf_detector_whose_last_digits_follow_the_batch_is_not_judged_by_sound() -> None:
    """As networks answer: the clips of a split fill other batches than those that are altered."""
    base = pixels.evidence(pixels.paint_scene, pixels.look_at_scene)

    def predict(frames: np.ndarray, sounds: np.ndarray) -> np.ndarray:
        return base.predict(frames, sounds) * (1 - 1e-8)

    found = shortcuts.run(replace(base, predict=predict))
    assert state(found, "needs_sound") == state(found, "follows_any_sound") == "grey"


def test_motion_is_needed_where_a_frozen_frame_tells_nothing(clean: Section) -> None:
    assert judged(pixels.paint_pulse, pixels.look_at_pulse)["needs_motion"].state == "green"
    # The stripes of the scene tell the origin from one frame.
    assert state(clean, "needs_motion") == "amber"


def test_a_detector_that_takes_what_stands_still_for_real_is_red() -> None:
    """It sees the scene, but trusts any clip in which nothing moves."""

    def look(frames: np.ndarray) -> np.ndarray:
        honest = pixels.look_at_scene(frames)
        stands = (frames == frames[:1]).all()
        return np.array([9.0 if stands else honest[0], honest[1]])

    def moving(*arguments: Any) -> np.ndarray:
        frames = pixels.paint_scene(*arguments).copy()
        frames[1::2, -1, -1] ^= 1
        return frames

    assert judged(moving, look)["takes_stillness_for_real"].state == "red"
    assert judged(moving, pixels.look_at_scene)["takes_stillness_for_real"].state == "green"


def test_a_detector_that_overlays_turn_is_red_and_names_the_worst() -> None:
    """It takes dark rims, as a letterbox draws, for another origin."""

    def look(frames: np.ndarray) -> np.ndarray:
        honest = pixels.look_at_scene(frames)
        barred = (frames[:, 0].std() < 1) or (frames[:, :, 0].std() < 1)
        return np.array([-honest[0] if barred else honest[0], honest[1]])

    found = judged(pixels.paint_scene, look)["overlays_turn_decisions"]
    assert found.state == "red"
    assert "a letterbox turns most decisions" in found.says
    assert "of 48 clips" in found.says


def test_few_recordings_are_grey() -> None:
    sources = (Source("a", "real", 2, 0), Source("b", "game", 0, 2))
    verdicts = shortcuts.run(toy.evidence(sources)).verdicts
    assert {verdict.state for verdict in verdicts} == {"grey"}
    assert len(verdicts) == 23


def test_clips_without_labels_are_grey() -> None:
    evidence = toy.evidence()
    clips = evidence.judged_sets[0].clips
    place = clips.schema.get_field_index("discharge")
    unknown = clips.set_column(place, "discharge", pa.nulls(clips.num_rows, pa.int8()))
    part = replace(evidence.judged_sets[0], clips=unknown)
    for suite in (shortcuts, robustness):
        section = suite.run(replace(evidence, judged_sets=[part]))
        assert {verdict.state for verdict in section.verdicts} == {"grey"}
        json.dumps(section.metrics, allow_nan=False)


def test_a_detector_that_knows_nothing_loses_nothing() -> None:
    constant = pixels.evidence(pixels.paint_scene, lambda frames: np.zeros(2))
    verdicts = {verdict.name: verdict for verdict in shortcuts.run(constant).verdicts}
    assert verdicts["reads_brightness"].state == "grey"
    assert "not surely better" in verdicts["reads_brightness"].says
    assert "none turns a decision" in verdicts["overlays_turn_decisions"].says


def test_the_section_is_the_same_again_and_fits_json(clean: Section) -> None:
    again = shortcuts.run(pixels.evidence(pixels.paint_scene, pixels.look_at_scene))
    dumped = [json.dumps(one.metrics, allow_nan=False, sort_keys=True) for one in (clean, again)]
    assert dumped[0] == dumped[1]
    assert clean.rows["altered.parquet"].equals(again.rows["altered.parquet"])


def test_every_table_and_csv_is_whole(clean: Section) -> None:
    tables = [panel for panel in clean.panels if isinstance(panel, Table)]
    assert len(tables) == 4
    for table in tables:
        assert {len(row) for row in table.rows} <= {len(table.columns)}
    assert set(clean.plots) == {"probes.csv", "altered.csv", "flips.csv"}
    for header, rows in clean.plots.values():
        assert {len(row) for row in rows} <= {len(header)}
    assert len(clean.plots["flips.csv"][1]) == len(counterfactuals.overlays()) * 6


def test_every_number_can_be_recounted_from_the_rows() -> None:
    section = shortcuts.run(pixels.evidence(pixels.paint_rim, pixels.look_at_rim))
    rows = section.rows["altered.parquet"]
    changes = np.array(rows["change"].to_pylist())
    predicted = {}
    for name in dict.fromkeys(changes):
        own = Examples.from_clips(rows.filter(pa.array(changes == name)))
        predicted[name] = own.predicted
        if name in section.metrics["altered"]:
            counted = roc_auc_score(own.origin == "real", own.p_real)
            found = section.metrics["altered"][name]["origin"]["after"]["value"]
            assert found == pytest.approx(counted, abs=1e-6)
    assert len(predicted) == 17
    assert {len(classes) for classes in predicted.values()} == {shortcuts.NUM_CLIPS}
    letterbox = predicted["letterbox"] != predicted["none"]
    share = section.metrics["flips"]["letterbox"]["all"]["value"]
    assert share == pytest.approx(letterbox.mean(), abs=1e-6)
    assert share > 0


def test_scores_that_an_overlay_lowers_or_raises_past_the_threshold_are_counted_apart() -> None:
    """Bars at top and bottom lower the score."""

    def look(frames: np.ndarray) -> np.ndarray:
        honest = pixels.look_at_scene(frames)
        return honest - 8 * (frames[:, 0].std() < 1)

    evidence = pixels.evidence(pixels.paint_scene, look)
    flips = shortcuts.run(evidence).metrics["flips"]["letterbox"]
    assert flips["fell_below"]["value"] > 0
    assert flips["rose_above"]["value"] == 0
    without = shortcuts.run(replace(evidence, val=None))
    assert "fell_below" not in without.metrics["flips"]["letterbox"]
    assert without.metrics["threshold_at_fpr_0.01"] is None
