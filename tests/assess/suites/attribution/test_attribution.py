"""The suite of attribution: a detector that reads the border is found out."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline.assess.evidence import Gallery, Table
from pipeline.assess.suites.attribution import attribution
from tests.assess import toy

EDGE = 1


def reads(part):
    """Real shooting where a part of the picture is bright."""

    def predict(clips):
        p = 1 / (1 + np.exp(-8 * (part(clips / 255.0) - 0.5)))
        return np.column_stack([p, 1 - p, 0 * p, 0 * p]) * 0.98 + 0.005

    return predict


def border(clips):
    rim = np.ones(clips.shape[2:4], bool)
    rim[EDGE:-EDGE, EDGE:-EDGE] = False
    return clips[:, :, rim].mean(axis=(1, 2, 3))


def frames(seed):
    """Dark, with a bright rim and a bright middle."""
    clip = np.random.default_rng(seed).integers(0, 20, (8, 32, 32, 3)).astype(np.uint8)
    rim = np.ones((32, 32), bool)
    rim[EDGE:-EDGE, EDGE:-EDGE] = False
    clip[:, rim] = 250
    clip[:, 12:20, 12:20] = 250
    return clip


def run(predict, **settings):
    evidence = toy.evidence(predict=predict, skill=0.3)
    part = replace(evidence.judged_sets[0], read=lambda row: toy.silent(frames(row)))
    return attribution.run(
        replace(
            evidence,
            judged_sets=[part],
            settings=replace(evidence.settings, **{"num_mistakes": 3} | settings),
        )
    )


def states(section):
    return {one.name: one.state for one in section.verdicts}


def test_a_detector_that_reads_the_border_is_amber_there():
    section = run(reads(border))
    assert states(section) == {"border": "amber", "overlay": "grey"}
    found = section.metrics["regions"]["border"]
    assert found["share_of_effect"] > 0.6
    assert found["share_of_area"] == pytest.approx(1 - (30 / 32) ** 2, abs=1e-6)


def test_nothing_stands_out_in_a_detector_that_reads_the_middle_which_is_no_proof():
    section = run(reads(lambda clips: clips[:, :, 12:20, 12:20].mean(axis=(1, 2, 3, 4))))
    assert states(section) == {"border": "grey", "overlay": "grey"}
    assert all("nothing stands out" in one.says for one in section.verdicts)
    assert section.metrics["regions"]["middle"]["share_of_effect"] > 0.9


def test_clips_and_predictions_stay_within_the_budget():
    asked = []

    def predict(clips):
        asked.append(len(clips))
        return np.full((len(clips), 4), 0.25)

    section = run(predict, num_mistakes=50)
    assert section.metrics["num_clips"] == attribution.MAX_CLIPS
    assert sum(asked) == attribution.MAX_CLIPS * (1 + 64 + 3 + 8)
    assert max(asked) <= 16


def test_kinds_of_mistakes_take_turns():
    section = run(reads(border), num_mistakes=50)
    sizes = [len(one.pictures) for one in section.panels if isinstance(one, Gallery)]
    assert len(sizes) == 3
    assert max(sizes) - min(sizes) <= 1


def test_a_detector_that_reacts_to_nothing_is_grey():
    section = run(None)
    assert set(states(section).values()) == {"grey"}
    assert section.metrics["regions"]["border"]["share_of_effect"] is None


def test_no_mistake_asked_for_is_grey_and_keeps_the_files():
    section = run(None, num_mistakes=0)
    assert set(states(section).values()) == {"grey"}
    assert list(section.panels) == []
    assert section.rows["effects.parquet"].num_rows == 0
    assert section.plots["regions.csv"] == (("region", "share_of_effect", "share_of_area"), [])
    json.dumps(section.metrics, allow_nan=False)


def test_every_effect_is_in_the_rows():
    section = run(reads(border))
    rows = section.rows["effects.parquet"].to_pylist()
    num = section.metrics["num_clips"]
    kinds = [row["hidden"] for row in rows]
    assert {kind: kinds.count(kind) // num for kind in set(kinds)} == {
        "cell": 64,
        "frame": 8,
        "border": 1,
        "overlay": 1,
        "middle": 1,
    }
    shares = []
    for clip in {row["clip_id"] for row in rows}:
        own = {row["hidden"]: abs(row["effect"]) for row in rows if row["clip_id"] == clip}
        shares.append(own["border"] / sum(own[name] for name in ("border", "overlay", "middle")))
    found = section.metrics["regions"]["border"]["share_of_effect"]
    assert found == pytest.approx(np.mean(shares), abs=1e-6)


@pytest.mark.parametrize("mode", ["protected", "clear"])
def test_pictures_are_protected_unless_asked_otherwise_and_say_what_they_show(mode):
    section = run(reads(border), previews=mode)
    gallery = next(one for one in section.panels if isinstance(one, Gallery))
    picture = gallery.pictures[0]
    data = base64.b64decode(picture.uri.removeprefix("data:image/jpeg;base64,"))
    assert Image.open(io.BytesIO(data)).size == (picture.width, picture.height)
    assert ("Blurred grey" in picture.alt) == (mode == "protected")
    assert "Said " in picture.alt


def test_sections_repeat():
    first, second = run(reads(border)), run(reads(border))
    assert first.panels == second.panels
    assert first.rows["effects.parquet"].equals(second.rows["effects.parquet"])
    tables = [one for one in first.panels if isinstance(one, Table)]
    assert all(len(row) == len(one.columns) for one in tables for row in one.rows)
