from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.assess import altered_clips
from pipeline.assess.evidence import Evidence, Figure, Section, Table
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.settings import Folders
from pipeline.assess.suites.robustness import edits, robustness
from pipeline.detect import scores
from pipeline.errors import UserError
from pipeline.store import manifest
from pipeline.store.manifest import Clip
from pipeline.transforms.registry import FAMILIES, STRENGTHS
from tests.assess import pixels, toy
from tests.assess.toy import Source
from tests.rows import clip_row


@pytest.fixture(scope="module")
def robust() -> Section:
    return robustness.run(pixels.evidence(pixels.paint_pulse, pixels.look_at_pulse))


@pytest.fixture(scope="module")
def mirrored() -> Section:
    return robustness.run(pixels.evidence(pixels.paint_side, pixels.look_at_side))


def states(section: Section) -> dict[str, str]:
    return {verdict.name: verdict.state for verdict in section.verdicts}


def test_a_detector_that_edits_do_not_touch_is_green(robust: Section) -> None:
    expected = {"worst_edit": "green", "worst_pair": "green", "frozen_variants": "grey"}
    assert states(robust) == expected


def test_a_detector_that_an_edit_brings_to_chance_is_red_and_the_edit_is_named(
    mirrored: Section,
) -> None:
    assert states(mirrored)["worst_edit"] == "red"
    assert "mirror," in mirrored.verdicts[0].says
    assert mirrored.metrics["worst_edit"]["edits"] == ["mirror"]
    assert mirrored.metrics["worst_edit"]["shooting"]["after"]["value"] < 0.1
    assert "mirror" in mirrored.metrics["worst_pair"]["edits"]


def test_the_worst_is_measured_on_clips_that_had_no_say_in_it(mirrored: Section) -> None:
    clips: dict[str, list[str]] = {}
    for row in mirrored.rows["edited.parquet"].to_pylist():
        clips.setdefault(row["change"], []).append(row["clip_id"])
    assert len(clips["speed, mild"]) == robustness.NUM_SEARCHED
    assert len(clips["mirror, severe"]) == robustness.NUM_SEARCHED
    worst = clips["mirror, severe"] + clips["mirror, severe, other clips"]
    assert len(worst) == robustness.NUM_SEARCHED + robustness.NUM_CONFIRMED
    assert len(set(worst)) == len(worst)


def test_every_edit_has_every_strength_and_cameras_the_most_severe(mirrored: Section) -> None:
    found = mirrored.metrics["edits"]
    for transform in FAMILIES["edits"]:
        assert list(found[transform.name.replace("_", " ")]) == list(STRENGTHS)
    for transform in (*FAMILIES["camera"], *FAMILIES["sensor"]):
        assert list(found[transform.name.replace("_", " ")]) == ["severe"]
    assert not any(transform.name in found for transform in FAMILIES["overlays"])
    for name in edits.SOUND_EDITS:
        assert list(found[name]) == ["severe"]


def test_a_pair_is_applied_in_the_order_of_the_world() -> None:
    assert edits._ordered(("recompress", "noise", "crop")) == ("noise", "crop", "recompress")


def test_tables_figures_and_csvs_are_whole(mirrored: Section) -> None:
    for panel in mirrored.panels:
        if isinstance(panel, Table):
            assert panel.rows
            assert {len(row) for row in panel.rows} == {len(panel.columns)}
    figures = [panel for panel in mirrored.panels if isinstance(panel, Figure)]
    assert len(figures) == 3
    for figure in figures:
        lines = figure.spec["data"]
        assert len(lines) == len(FAMILIES["edits"])
        assert {len(line["y"]) for line in lines} == {1 + len(STRENGTHS)}
        assert lines[-1]["name"] == "mirror", "the worst lies above the others"
    assert len(mirrored.plots["edits.csv"][1]) == 15 * 4 + 14 * 2 + len(edits.SOUND_EDITS) * 2
    for header, rows in mirrored.plots.values():
        assert {len(row) for row in rows} <= {len(header)}
    json.dumps(mirrored.metrics, allow_nan=False)


def test_the_tpr_is_a_curve_over_strengths_of_the_clips_above_the_threshold(
    mirrored: Section,
) -> None:
    header, rows = mirrored.plots["edits.csv"]
    curve = {row[1]: row for row in rows if row[0] == "mirror"}
    assert list(curve) == ["none", *STRENGTHS]
    first = header.index("tpr")
    plain = mirrored.metrics["found_before"]
    assert curve["none"][first:] == [plain["value"], plain["low"], plain["high"]]
    assert plain["value"] == 1, "the detector sees every flash before it is mirrored away"
    table = mirrored.rows["edited.parquet"].to_pandas()
    limit = altered_clips.threshold(pixels.evidence(pixels.paint_side, pixels.look_at_side).val)
    for strength in STRENGTHS:
        own = table[table["change"] == f"mirror, {strength}"]
        shootings = own[(own["origin"] == "real") & (own["discharge"] == True)]  # noqa: E712
        share = (shootings["p_real_shooting"] > limit).mean()
        assert curve[strength][first] == pytest.approx(share)
        assert mirrored.metrics["edits"]["mirror"][strength]["found"]["value"] == share
    assert curve["severe"][first] == 0


def test_few_recordings_are_grey_and_nothing_is_scored() -> None:
    def never(clips: np.ndarray) -> np.ndarray:
        raise AssertionError

    sources = (Source("a", "real", 4, 9), Source("b", "game", 9, 9))
    found = robustness.run(toy.evidence(sources, predict=never))
    assert set(states(found).values()) == {"grey"}
    assert "needs 5 recordings" in found.verdicts[0].says
    assert found.plots["edits.csv"][1] == []
    assert found.rows == {}


def with_variants(evidence: Evidence, folder: Path, harm: Sequence[float]) -> Evidence:
    """Variants of every clip whose scores are drawn towards 0.5, by a share a strength."""
    part = evidence.judged_sets[0]
    plain = scores.joint(part.clips)
    tables, rows = [], []
    for strength, share in zip(STRENGTHS, harm, strict=True):
        ids = [f"{clip}-{strength}" for clip in part.clips["clip_id"].to_pylist()]
        who = part.clips.select(scores.CLIP_SCHEMA.names).set_column(0, "sample_id", [ids])
        who = who.cast(scores.CLIP_SCHEMA)
        wrong = plain[:, ::-1] if share == 1 else (1 - share) * plain + share / 4
        tables.append(scores.score_table(who, wrong))
        rows += [_clip(clip, strength, "crop" if n % 2 else "hud") for n, clip in enumerate(ids)]
    folder.mkdir(exist_ok=True)
    manifest.write_rows(folder / manifest.MANIFEST, Clip, rows)
    variants = JudgedSet("variants", "", pa.concat_tables(tables), toy.clip, "")
    return replace(evidence, variants=variants, folders=Folders(*[folder] * 5))


def _clip(clip_id: str, strength: str, edit: str) -> Clip:
    texts: dict[str, Any] = dict.fromkeys(
        ("collection", "path", "source", "origin", "recording", "licence", "authority"), "x"
    )
    return clip_row(
        clip_id=clip_id,
        parent_id="x",
        start_s=0.0,
        box="",
        discharge=None,
        shard="",
        offset=0,
        size=0,
        variant=json.dumps({"strength": strength, "edit": edit}),
        **texts,
    )


@pytest.fixture
def unsearched(monkeypatch: pytest.MonkeyPatch) -> Evidence:
    monkeypatch.setattr(edits, "search", lambda *_: "needs more")
    return pixels.evidence(pixels.paint_pulse, pixels.look_at_pulse)


def test_variants_that_keep_their_scores_are_green_and_turned_ones_red(
    unsearched: Evidence, tmp_path: Path
) -> None:
    kept = robustness.run(with_variants(unsearched, tmp_path / "kept", (0, 0.1, 0.2)))
    assert states(kept)["frozen_variants"] == "green"
    # Reversed, the classes are the opposite ones.
    turned = robustness.run(with_variants(unsearched, tmp_path / "turned", (0, 0.1, 1)))
    assert states(turned)["frozen_variants"] == "red"
    found = turned.metrics["variants"]
    assert found["mild"]["origin"]["drop"]["value"] == 0
    assert found["severe"]["origin"]["after"]["value"] < 0.01
    table = next(one for one in turned.panels if one.title.startswith("What variants turn"))
    assert isinstance(table, Table)
    counts = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert counts == {"crop": ["64", "0", "0", "64"], "hud": ["64", "0", "0", "64"]}


def test_what_variants_turn_can_be_recounted_from_their_rows(
    unsearched: Evidence, tmp_path: Path
) -> None:
    evidence = with_variants(unsearched, tmp_path, (0, 0.1, 1))
    rows = robustness.run(evidence).rows["variants.parquet"]
    part = evidence.judged_sets[0]
    plain = dict(
        zip(part.clips["clip_id"].to_pylist(), part.examples.predicted.tolist(), strict=True)
    )
    turned = Counter(
        row["change"]
        for row in rows.to_pylist()
        if int(np.argmax([row[name] for name in scores.PROBABILITIES])) != plain[row["clip_id"]]
    )
    assert rows.num_rows == 3 * len(plain)
    assert turned == {"crop, severe": 64, "hud, severe": 64}


def test_variants_that_no_manifest_knows_are_an_error(unsearched: Evidence, tmp_path: Path) -> None:
    evidence = with_variants(unsearched, tmp_path, (0, 0, 0))
    manifest.write_rows(tmp_path / manifest.MANIFEST, Clip, [])
    with pytest.raises(UserError, match="run dvc repro"):
        robustness.run(evidence)
