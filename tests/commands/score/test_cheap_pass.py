from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.commands.score import cheap_pass, settings
from pipeline.commands.score.answer_cache import AskedOnce
from pipeline.commands.score.cheap_pass import CheapPass, PassThreshold
from pipeline.commands.score.scorer import _table
from pipeline.detect import operating_point, scores
from pipeline.detect.alarm import SMOOTHINGS, Choice
from pipeline.detect.detector import Detector
from pipeline.detect.files import first_alerts
from pipeline.detect.stream_scores import stream_scores
from pipeline.learn.networks.hearing import HeardNet
from pipeline.learn.networks.product import ProductNet
from pipeline.store.sound import num_samples
from tests.commands.score.toy import (
    configured,
    scored,
    write_evaluation,
    write_files,
    write_listing,
)


def chosen(project: Path, miss_rate: float) -> PassThreshold | str:
    detector = Detector.load(project / "models")
    point = operating_point.read(project / "reports", detector.sha256)
    return cheap_pass.choose(project / "reports", detector, point, miss_rate)


SHOOTINGS = [0.5, 0.2, 0.3, 0.99, 0.95, 0.6, 0.7, 0.8, 0.92, 0.97]


@pytest.mark.parametrize(
    ("miss_rate", "threshold", "num_missed", "bound"),
    # As of binom.test(missed, 10, alternative="less") in R.
    [
        (0.26, 0.2, 0, 0.2589),
        (0.39, 0.2, 0, 0.2589),
        (0.4, 0.3, 1, 0.3942),
        (0.51, 0.5, 2, 0.5069),
        (0.9, 0.9, 6, 0.8500),
        (1.0, 0.9, 6, 0.8500),
    ],
)
def test_the_threshold_keeps_to_the_rate_at_95_percent_and_loses_no_alert(
    project: Path, miss_rate: float, threshold: float, num_missed: int, bound: float
) -> None:
    write_evaluation(project, SHOOTINGS, [0.1, 0.15, 0.25, 0.95])
    found = chosen(project, miss_rate)
    assert isinstance(found, PassThreshold)
    assert found.threshold == pytest.approx(threshold, abs=1e-9)
    assert (found.num_missed, found.num_shootings) == (num_missed, 10)
    assert found.num_excluded == sum(level < threshold for level in (0.1, 0.15, 0.25, 0.95))
    assert found.bound == pytest.approx(bound, abs=1e-4)
    assert found.bound <= miss_rate
    assert f"misses {num_missed} of 10 real shootings" in found.says


def test_a_rate_that_validation_cannot_show_excludes_nothing(project: Path) -> None:
    write_evaluation(project, SHOOTINGS, [0.1])
    said = str(chosen(project, 0.01))
    assert "10 real shootings in validation cannot show" in said
    assert "at most 1 % are missed, for which it takes 299;" in said
    assert "miss_rate=0.259 is the least" in said
    assert isinstance(chosen(project, 0.259), PassThreshold)
    assert isinstance(chosen(project, 0.258), str)
    for nothing in (0.0, 5e-324):
        assert "more than there can be" in str(chosen(project, nothing))


def test_the_rate_is_kept_in_95_of_100_draws_of_validation() -> None:
    rng = np.random.default_rng(0)
    num_kept = num_used = 0
    for _ in range(400):
        levels = rng.uniform(size=30)
        threshold = cheap_pass.threshold_for(levels, 0.2)
        assert threshold is not None
        # Of uniform levels, this is the share that is missed.
        num_kept += threshold <= 0.2
        num_used += threshold > 0.02
    assert num_kept / 400 >= 0.93
    assert num_used / 400 >= 0.9


def test_without_shootings_or_an_evaluation_there_is_no_cheap_pass(project: Path) -> None:
    assert "no evaluation" in str(chosen(project, 0.1))
    write_evaluation(project, [], [0.4])
    assert "no real shooting in validation" in str(chosen(project, 0.1))


@pytest.fixture
def hearing(written: Path) -> Detector:
    """A detector that hears loudness, and whose pictures have a bounded say."""
    detector = Detector.load(written / "models")
    assert isinstance(detector.network, ProductNet)
    detector.network.hearing, detector.network.most_seen = Loud(), 0.5
    return detector


class Loud(HeardNet):
    """As sure of a discharge as a clip is loud."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.num_samples, self.num_frames, self.every_frames = num_samples(8, 15.0), 8, 4
        self.register_buffer("scale", torch.ones(()))

    def forward(self, sounds: Tensor) -> Tensor:
        return sounds.float().abs().mean(1) / 200


def files(number: int) -> list[tuple[NDArray[np.uint8], NDArray[np.int16]]]:
    """Clips of files with their sounds, some of which are loud for a while."""
    rng, found = np.random.default_rng(0), []
    for _ in range(number):
        frames = rng.integers(0, 255, (6, 8, 32, 32, 3)).astype(np.uint8)
        sounds = rng.integers(-9, 9, (6, num_samples(8, 15.0))).astype(np.int16)
        first = int(rng.integers(0, 5000))
        sounds[rng.integers(6), first : first + 2000] = rng.integers(0, 32000)
        found.append((frames, sounds))
    return found


def test_what_the_cheap_pass_says_is_what_the_whole_detector_says(hearing: Detector) -> None:
    for frames, sounds in files(3):
        p_discharge, heard = CheapPass(hearing, 0.5).of(frames, sounds, 4)
        after = hearing.stream(1).last_clips(np.concatenate(frames)[None], sounds.reshape(1, -1))
        _, expected = scores.marginals(after[0])
        assert p_discharge.reshape(-1) == pytest.approx(expected, abs=1e-6)
        assert len(set(p_discharge.round(6).flatten().tolist())) > 5
        assert heard.max() > heard.min()
        silent, heard = CheapPass(hearing, 0.5).of(frames, np.zeros_like(sounds), 4)
        assert not heard.any()
        assert not np.allclose(silent, p_discharge)


def test_no_file_is_excluded_that_alerts_at_any_frame(hearing: Detector) -> None:
    card = hearing.card
    clip_s = card.clip.num_frames / card.clip.fps
    table = _table("a.mp4", [n * clip_s for n in range(6)])
    excluding, levels, num_alerts = CheapPass(hearing, 0.5), [], 0
    for frames, sounds in files(20):
        after = hearing.stream(1).last_clips(np.concatenate(frames)[None], sounds.reshape(1, -1))
        answers = after.reshape(6, 8, 4)
        in_streams = stream_scores(table, answers, card.memory, clip_s)
        p_discharge, _ = excluding.of(frames, sounds, 4)
        levels.append(excluding.level(lambda: table, p_discharge))
        assert in_streams.max() <= levels[-1] + 1e-6
        told = scores.score_table(table, answers[:, -1], (), in_streams)
        for smoothing in SMOOTHINGS:
            # As low as may be without the file being asked about in full.
            choice = Choice(levels[-1] + 2e-6, smoothing, 60.0)
            assert CheapPass(hearing, choice.threshold).excludes(levels[-1])
            assert not first_alerts(choice, told, clip_s)
            num_alerts += bool(first_alerts(replace(choice, threshold=0.5), told, clip_s))
    assert np.ptp(levels) > 0.1
    assert num_alerts


def test_files_of_which_no_frame_reaches_the_threshold_are_not_followed(
    hearing: Detector,
) -> None:
    card = hearing.card
    clip_s = card.clip.num_frames / card.clip.fps
    table = _table("a.mp4", [n * clip_s for n in range(6)])
    asked: list[float] = []
    for frames, sounds in files(20):
        p_discharge, _ = CheapPass(hearing, 0.5).of(frames, sounds, 4)
        highest = float(p_discharge.max())

        def clips(highest: float = highest) -> pa.Table:
            asked.append(highest)
            return table

        in_full = CheapPass(hearing, 0.0).level(lambda: table, p_discharge)
        assert in_full <= highest + 1e-9
        # What is followed to no use changes no decision.
        for threshold in (0.5, in_full, highest, highest + 2e-6):
            one = CheapPass(hearing, threshold)
            assert one.excludes(one.level(clips, p_discharge)) == one.excludes(in_full)
            assert (asked[-1:] == [highest]) == (threshold < highest + 1e-6)
            asked.clear()


def test_what_was_asked_once_is_not_worked_out_again(hearing: Detector) -> None:
    network = hearing.network
    assert isinstance(network, ProductNet)
    assert isinstance(network.hearing, Loud)
    num_asked = 0
    inner = network.hearing.forward

    def forward(sounds: Tensor) -> Tensor:
        nonlocal num_asked
        num_asked += 1
        return inner(sounds)

    network.hearing.forward = forward  # type: ignore[method-assign]

    def answers(frames: NDArray[np.uint8], sounds: NDArray[np.int16]) -> NDArray[np.float64]:
        return hearing.stream(1).last_clips(np.concatenate(frames)[None], sounds.reshape(1, -1))

    both = files(2)
    expected = [answers(*one) for one in both]
    asked, num_before = AskedOnce(network), num_asked
    for (frames, sounds), alone in zip(both, expected, strict=True):
        with asked.of_a_file():
            CheapPass(hearing, 0.5).of(frames, sounds, 6)
            asked.begin()
            assert np.array_equal(answers(frames, sounds), alone)
    assert num_asked == 2 * num_before
    assert np.array_equal(answers(*both[0]), expected[0])
    assert num_asked > 2 * num_before


def test_files_below_the_threshold_are_never_seen_by_the_encoder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = project / "own"
    listing = write_listing(own / "listing.csv", write_files(own, 4))
    write_evaluation(project, [0.5], [0.1], threshold=0.0)
    levels: list[float] = []
    inner = CheapPass.level

    def level(self: CheapPass, *given: Any) -> float:
        levels.append(inner(self, *given))
        return levels[-1]

    monkeypatch.setattr(CheapPass, "level", level)
    full = scored(project, listing, "full", "miss_rate=1")
    assert {row["step"] for row in full} == {"full"}
    ordered = sorted(levels)
    write_evaluation(project, [0.5], [0.1], threshold=(ordered[1] + ordered[2]) / 2)
    found = scored(project, listing, "cheap", "miss_rate=1")
    assert sorted(row["step"] for row in found) == ["cheap", "cheap", "full", "full"]
    for row, whole, highest in zip(found, full, levels, strict=False):
        assert (row["step"] == "cheap") == (highest < ordered[2])
        assert whole["score"] <= highest + 1e-6
        assert row["p_discharge"] == pytest.approx(whole["p_discharge"], abs=1e-6)
        for name in ("sha256", "seconds", "pdq", "loudness", "brightness", "num_clips"):
            assert row[name] == whole[name]
        if row["step"] == "cheap":
            assert row["score"] is row["p_real"] is row["embedding"] is None
            assert [one["score"] for one in row["moments"]] == [None] * len(row["moments"])
        else:
            # With its higher threshold the second run may raise no alert where the first did.
            assert {**row, "alert_s": None} == {**whole, "alert_s": None}


def test_the_settings_say_what_the_cheap_pass_was_chosen_on(project: Path) -> None:
    write_evaluation(project, [0.5, 0.6], [0.1])
    found = settings.ScoringSettings.of(configured(project, "miss_rate=0.8"), project)
    assert found.told["cheap_pass"] == {
        "threshold": pytest.approx(0.5),
        "miss_rate": 0.8,
        "validation": {
            "shootings": 2,
            "missed": 0,
            "missed_at_most": pytest.approx(1 - 0.05**0.5),
            "others": 1,
            "others_excluded": 1,
        },
    }
    said = "(up to 77.6 % at 95 % confidence, allowed by miss_rate: 80 %)"
    assert any(said in text for text in found.says)


def test_how_exact_the_detector_is_decides_scores(project: Path) -> None:
    found = settings.ScoringSettings.of(configured(project, "precision=bf16-mixed"), project)
    assert found.scoring().scorer._detector.precision == "bf16-mixed"
    assert found.told["settings"]["precision"] == "bf16-mixed"
