from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from pipeline.detect.alarm import Alarm, Choice
from pipeline.detect.stream_scores import stream_scores
from pipeline.learn.memory import Memory
from pipeline.learn.networks.product import product_logits
from pipeline.store.manifest import REAL_SHOOTING

CLIP_S = 1.0
MEMORY = Memory(answer_s=CLIP_S, origin_s=10.0, lasting=0.5, discharge_s=0.3)


def clips_of(starts_s: dict[str, list[float]]) -> pa.Table:
    """Rows by path, one file after the other."""
    rows = [
        {"collection": "made", "path": path, "start_s": start_s, "clip_id": f"{path}-{start_s}"}
        for path, own in starts_s.items()
        for start_s in own
    ]
    return pa.Table.from_pylist(rows)


def random_probabilities(number: int) -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(4), number)


def test_without_a_memory_each_clip_speaks_for_itself() -> None:
    clips, given = clips_of({"a": [0.0, 1.0], "b": [0.0]}), random_probabilities(3)
    assert np.array_equal(
        stream_scores(clips, given[:, None], None, CLIP_S), given[:, REAL_SHOOTING]
    )


def test_each_file_is_a_stream_of_its_own_whatever_the_order_of_its_rows() -> None:
    # With a gap of 4.5 s, clips that overlap by half, and a file of one clip.
    starts_s = {"a": [0.0, 1.0, 6.5, 7.5], "b": [3.0], "c": [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]}
    clips = clips_of(starts_s)
    given = random_probabilities(clips.num_rows)
    seconds = {"a": [1, 1, 1, 1], "b": [1], "c": [1, 0.5, 0.5, 0.5, 0.5, 0.5]}
    expected = []
    for path, own in starts_s.items():
        state = MEMORY.start(1)
        for number in range(len(own)):
            logits = torch.from_numpy(np.log(given[len(expected)]))[None]
            unseen_s = 4.5 if path == "a" and number == 2 else 0.0
            found, state = MEMORY.advance(logits, seconds[path][number], state, unseen_s)
            expected.append(float(found.softmax(1)[0, REAL_SHOOTING]))
    found = stream_scores(clips, given[:, None], MEMORY, CLIP_S)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert np.abs(found - given[:, REAL_SHOOTING]).max() > 0.05
    order = np.random.default_rng(1).permutation(clips.num_rows)
    shuffled = stream_scores(clips.take(order), given[order][:, None], MEMORY, CLIP_S)
    assert np.array_equal(shuffled, found[order])


def test_a_clip_alone_keeps_its_score() -> None:
    clips, given = clips_of({"a": [0.0], "b": [7.0]}), random_probabilities(2)
    found = stream_scores(clips, given[:, None], MEMORY, CLIP_S)
    np.testing.assert_allclose(found, given[:, REAL_SHOOTING], rtol=0, atol=1e-15)


def test_answers_within_a_clip_share_its_time_and_the_highest_score_counts() -> None:
    clips = clips_of({"a": [0.0, 1.0, 3.0], "b": [0.0]})
    given = random_probabilities(4 * 5).reshape(4, 5, 4)
    first = torch.from_numpy(np.log(given[0, -1]))[None]
    _, state = MEMORY.advance(first, 1.0, MEMORY.start(1))
    expected = [given[0, -1, REAL_SHOOTING]]
    for number in (1, 2):
        own = []
        for k in range(5):
            logits = torch.from_numpy(np.log(given[number, k]))[None]
            unseen_s = 1.0 if (number, k) == (2, 0) else 0.0
            found, state = MEMORY.advance(logits, 0.2, state, unseen_s)
            own.append(float(found.softmax(1)[0, REAL_SHOOTING]))
        expected.append(max(own))
    summed = stream_scores(clips, given, MEMORY, CLIP_S)
    np.testing.assert_allclose(summed[:3], expected, rtol=0, atol=1e-12)
    assert summed[3] == pytest.approx(given[3, -1, REAL_SHOOTING], abs=1e-12)


def test_what_is_said_before_a_stream_has_shown_a_clip_counts_nowhere() -> None:
    clips = clips_of({"a": [0.0, 1.0], "b": [0.0]})
    given = random_probabilities(3 * 5).reshape(3, 5, 4)
    of_shooting = given[..., REAL_SHOOTING]
    expected = [of_shooting[0, -1], of_shooting[1].max(), of_shooting[2, -1]]
    assert np.array_equal(stream_scores(clips, given, None, CLIP_S), expected)
    other = given.copy()
    other[[0, 2], :4] = random_probabilities(2 * 4)[::-1].reshape(2, 4, 4)
    summed = stream_scores(clips, given, MEMORY, CLIP_S)
    assert np.array_equal(stream_scores(clips, other, MEMORY, CLIP_S), summed)
    # Of a clip that is not the first, what is said within it counts.
    other[1, 2] = np.eye(4)[REAL_SHOOTING]
    assert stream_scores(clips, other, MEMORY, CLIP_S)[1] > summed[1] + 0.05


def test_certain_answers_give_numbers() -> None:
    clips = clips_of({"a": [0.0, 1.0, 2.0]})
    found = stream_scores(clips, np.eye(4)[[3, 0, 0]][:, None], MEMORY, CLIP_S)
    assert np.isfinite(found).all()


def test_no_clips_have_no_scores() -> None:
    clips = clips_of({"a": [0.0]}).slice(0, 0)
    assert stream_scores(clips, np.zeros((0, 1, 4)), MEMORY, CLIP_S).shape == (0,)


def test_an_alarm_that_follows_the_memory_tells_shootings_from_games_that_look_real_at_times() -> (
    None
):
    """Gunfire in all of them, at a threshold that nine of ten shootings reach."""
    rng = np.random.default_rng(0)
    num_files, num_clips = 60, 60
    is_real = np.arange(num_files) % 2 == 0
    origin = np.where(is_real, 1.0, -1.0)[:, None] + rng.normal(0, 2, (num_files, num_clips))
    fires = np.zeros((num_files, num_clips), bool)
    fires[:, 20::10] = True
    discharge = np.where(fires, 3.0, -3.0) + rng.normal(0, 1, fires.shape)
    logits = product_logits(torch.from_numpy(origin), torch.from_numpy(discharge))
    given = logits.softmax(-1).numpy().reshape(-1, 4)
    clips = clips_of({f"{n:02}": [float(s) for s in range(num_clips)] for n in range(num_files)})

    def alerted(memory: Memory | None) -> float:
        """Share of the games that alert."""
        scores = stream_scores(clips, given[:, None], memory, CLIP_S).reshape(num_files, num_clips)
        threshold = float(np.quantile(scores[is_real].max(axis=1), 0.1))
        alarm, found = Alarm(Choice(threshold, "none", 600.0), num_files), np.zeros(num_files, bool)
        for number in range(num_clips):
            found |= alarm.push(scores[:, number], np.full(num_files, float(number))).opened
        return float(found[~is_real].mean())

    assert alerted(None) > 0.2
    assert alerted(MEMORY) < 0.05
