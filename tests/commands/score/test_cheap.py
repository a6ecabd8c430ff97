from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.commands.score import cheap, settings
from pipeline.commands.score.cheap import CheapPass, Chosen
from pipeline.detect import operating_point, scores
from pipeline.detect.detector import Detector
from pipeline.store.sound import num_samples
from tests.commands.score.toy import (
    configured,
    scored,
    write_evaluation,
    write_files,
    write_listing,
)


def chosen(project: Path, miss_rate: float) -> Chosen | str:
    detector = Detector.load(project / "models")
    point = operating_point.read(project / "reports", detector.sha256)
    return cheap.choose(project / "reports", detector, point, miss_rate)


@pytest.mark.parametrize(
    ("miss_rate", "threshold", "num_missed"),
    [(0.0, 0.2, 0), (0.09, 0.2, 0), (0.1, 0.3, 1), (0.2, 0.5, 2), (0.7, 0.9, 6), (1.0, 0.9, 6)],
)
def test_the_threshold_keeps_to_the_rate_and_loses_no_alert(
    project: Path, miss_rate: float, threshold: float, num_missed: int
) -> None:
    shootings = [0.5, 0.2, 0.3, 0.99, 0.95, 0.6, 0.7, 0.8, 0.92, 0.97]
    write_evaluation(project, shootings, [0.1, 0.15, 0.25, 0.95])
    found = chosen(project, miss_rate)
    assert isinstance(found, Chosen)
    assert found.threshold == pytest.approx(threshold, abs=1e-9)
    assert (found.num_missed, found.num_shootings) == (num_missed, 10)
    assert found.num_excluded == sum(level < threshold for level in (0.1, 0.15, 0.25, 0.95))
    # As of binom.test in R.
    if not num_missed:
        assert found.bound == pytest.approx(1 - 0.05 ** (1 / 10))
    assert f"misses {num_missed} of 10 real shootings" in found.says


def test_without_shootings_or_an_evaluation_there_is_no_cheap_pass(project: Path) -> None:
    assert "no evaluation" in str(chosen(project, 0.1))
    write_evaluation(project, [], [0.4])
    assert "no real shooting in validation" in str(chosen(project, 0.1))


def test_no_score_is_above_the_level_by_which_files_are_excluded(written: Path) -> None:
    detector = Detector.load(written / "models")
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (6, 8, 32, 32, 3)).astype(np.uint8)
    sounds = np.zeros((6, num_samples(8, 15.0)), np.int16)
    p_discharge, _ = CheapPass(detector, 0.5).of(frames, sounds, 4)
    probabilities = detector.predict(frames)
    _, expected = scores.marginals(probabilities)
    assert p_discharge == pytest.approx(expected, abs=1e-6)
    assert len(set(p_discharge.round(6).tolist())) > 1
    assert (probabilities[:, 0] <= p_discharge + 1e-6).all()


def test_files_below_the_threshold_are_never_seen_by_the_encoder(
    project: Path,
) -> None:
    own = project / "own"
    listing = write_listing(own / "listing.csv", write_files(own, 4))
    write_evaluation(project, [0.5], [0.1])
    full = scored(project, listing, "full", "miss_rate=null")
    levels = sorted(row["p_discharge"] for row in full)
    write_evaluation(project, [(levels[1] + levels[2]) / 2], [0.1])
    found = scored(project, listing, "cheap", "miss_rate=0")
    assert sorted(row["step"] for row in found) == ["cheap", "cheap", "full", "full"]
    for row, whole in zip(found, full, strict=True):
        assert (row["step"] == "cheap") == (whole["p_discharge"] < levels[2])
        assert row["p_discharge"] == pytest.approx(whole["p_discharge"], abs=1e-6)
        for name in ("sha256", "seconds", "pdq", "loudness", "brightness", "num_clips"):
            assert row[name] == whole[name]
        if row["step"] == "cheap":
            assert row["score"] is row["p_real"] is row["embedding"] is None
            assert [one["score"] for one in row["moments"]] == [None] * len(row["moments"])
        else:
            assert row == whole


def test_the_settings_say_what_the_cheap_pass_was_chosen_on(project: Path) -> None:
    write_evaluation(project, [0.5, 0.6], [0.1])
    found = settings.Settings.of(configured(project, "miss_rate=0.01"), project)
    assert found.told["cheap_pass"] == {
        "threshold": pytest.approx(0.5),
        "miss_rate": 0.01,
        "validation": {
            "shootings": 2,
            "missed": 0,
            "missed_at_most": pytest.approx(1 - 0.05**0.5),
            "others": 1,
            "others_excluded": 1,
        },
    }
    assert any("(up to 78% at 95 % confidence, asked for: 0.01)" in text for text in found.says)
