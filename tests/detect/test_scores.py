from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.assess.examples import Examples
from pipeline.detect import scores
from pipeline.detect.files import file_table
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow
from pipeline.store.manifest import Reject
from pipeline.store.packed_samples import Sample
from tests.assess import toy

CLIPS = toy.clips((toy.Source("cam", "real", 1, 1),), clips_per_recording=3)


def brightness(batch: np.ndarray, sounds: np.ndarray) -> np.ndarray:
    """A model whose score is how red the frames are."""
    red = batch[..., 0].mean(axis=(1, 2, 3)) / 255
    rest = (1 - red) / 3
    return np.column_stack([red, rest, rest, rest])


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_scores_and_data_hash_do_not_depend_on_the_batch_size(batch_size: int) -> None:
    expected = scores.predict(CLIPS, toy.clip, brightness, batch_size=6)
    found = scores.predict(CLIPS, toy.clip, brightness, batch_size=batch_size)
    assert found[0] == pytest.approx(expected[0])
    assert found[1] == expected[1]
    assert found[0][2, 0] == pytest.approx(toy.frames(2)[..., 0].mean() / 255)


def test_the_data_hash_changes_with_a_pixel_a_sample_of_sound_and_a_label() -> None:
    def changed(number: int) -> Sample:
        clip = toy.clip(number)
        clip.frames[0, 0, 0, 0] ^= number == 3
        return clip

    def heard(number: int) -> Sample:
        clip = toy.clip(number)
        clip.sound[9] = number == 3
        return clip

    labels = CLIPS.set_column(
        CLIPS.schema.get_field_index("discharge"),
        CLIPS.schema.field("discharge"),
        [pa.array([0] * 6, pa.int8())],
    )
    digests = {
        scores.predict(table, read, brightness, batch_size=4)[1]
        for table, read in (
            *((CLIPS, toy.clip), (CLIPS, changed), (CLIPS, heard)),
            (labels, toy.clip),
        )
    }
    assert len(digests) == 4


def test_a_model_is_given_the_sounds_of_its_clips() -> None:
    def loud(number: int) -> Sample:
        clip = toy.clip(number)
        clip.sound[:] = number
        return clip

    given: list[int] = []

    def model(batch: np.ndarray, sounds: np.ndarray) -> np.ndarray:
        assert sounds.shape == (len(batch), 25_600)
        given.extend(sounds[:, 7].tolist())
        return np.full((len(batch), 4), 0.25)

    scores.predict(CLIPS, loud, model, batch_size=4)
    assert given == list(range(6))


def test_a_model_that_answers_nan_is_refused_by_the_name_of_the_clip() -> None:
    def broken(batch: np.ndarray, sounds: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(batch))[:, None] == 1, np.nan, 0.25) * np.ones((1, 4))

    with pytest.raises(UserError, match="clip cam-0-1: the model gives no probabilities"):
        scores.predict(CLIPS, toy.clip, broken, batch_size=6)


def test_the_score_is_the_probability_of_a_real_shooting() -> None:
    table = toy.scored()
    assert table.schema == scores.SCORE_SCHEMA
    assert table["score"] == table["p_real_shooting"]
    rendered = dict(zip(table["source"].to_pylist(), table["rendered"].to_pylist(), strict=True))
    assert rendered == {"bodycam": True, "phone": False, "doom": False, "sintel": False}


def test_a_file_takes_the_highest_score_and_the_mean_origin_of_its_clips() -> None:
    probabilities = np.array(
        [[0.1, 0.1, 0.4, 0.4], [0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.7, 0.1]]
        + [[0.1, 0.2, 0.3, 0.4]] * 3
    )
    table = scores.score_table(CLIPS, probabilities)
    index = [
        IndexRow("cam/0.mp4", "real", "cam", True, "CC0-1.0", recording="a"),
        IndexRow("cam/broken.mp4", "film", "cam", False, "CC0-1.0", recording="b"),
    ]
    rejects = [Reject("toy", "cam/broken.mp4", "ingest", "too_short", "", "")]
    scored, rejected = file_table(
        index, table, rejects, {"cam/0.mp4": 2.5}, {"cam/0.mp4": '["damaged"]'}
    ).to_pylist()
    assert (scored["status"], scored["num_clips"], scored["predicted"]) == (
        "scored",
        3,
        "real_shooting",
    )
    assert scored["score"] == pytest.approx(0.7)
    assert scored["p_real"] == pytest.approx((0.5 + 0.8 + 0.8) / 3)
    assert scored["p_discharge"] == pytest.approx(0.8)
    assert (rejected["status"], rejected["reason"], rejected["score"]) == (
        "rejected",
        "too_short",
        None,
    )


def test_examples_of_files_leave_out_rejected_ones() -> None:
    table = scores.score_table(CLIPS, toy.probabilities(CLIPS))
    index = [
        IndexRow(f"cam/{name}.mp4", "real", "cam", name == "0", "CC0-1.0", recording=name)
        for name in ("0", "gone", "1")
    ]
    examples = Examples.from_files(file_table(index, table, [], {}, {}))
    assert len(examples) == 2
    assert examples.is_shooting.tolist() == [True, False]
    assert examples.clusters.tolist() == [0, 1]
