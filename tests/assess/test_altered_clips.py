from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.assess import altered_clips
from pipeline.assess.altered_clips import Change
from pipeline.assess.judged_sets import JudgedSet
from pipeline.store.packed_samples import Sample
from pipeline.transforms.registry import TRANSFORMS
from tests.assess import toy
from tests.assess.toy import Source
from tests.conftest import moving_frames


def part(sources: tuple[Source, ...] = toy.SOURCES) -> JudgedSet:
    return JudgedSet("test", "", toy.scored(sources), toy.clip, "0" * 64)


def test_a_sample_takes_classes_in_turn_until_one_is_used_up() -> None:
    sources = (Source("a", "real", 1, 10), Source("b", "game", 10, 10))
    found = altered_clips.subset(part(sources), 32).examples.actual
    # A recording holds five clips, so there are five real shootings.
    assert np.bincount(found, minlength=4).tolist() == [5, 9, 9, 9]


def test_a_sample_spreads_over_recordings() -> None:
    sources = (Source("a", "real", 6, 6), Source("b", "game", 6, 6))
    found = altered_clips.subset(part(sources), 24)
    assert len(set(found.clips["recording"].to_pylist())) == 24


def test_a_sample_is_the_beginning_of_a_larger_one_and_knows_no_order() -> None:
    whole = part()
    small, large = (
        altered_clips.subset(whole, most).clips["clip_id"].to_pylist() for most in (20, 50)
    )
    assert large[:20] == small
    assert len(set(large)) == 50
    turned = replace(whole, clips=whole.clips.take(list(range(whole.clips.num_rows))[::-1]))
    assert altered_clips.subset(turned, 20).clips["clip_id"].to_pylist() == small


def test_a_clip_without_a_label_is_not_drawn() -> None:
    whole = part()
    labels = [None if row % 2 else row % 4 // 2 for row in range(whole.clips.num_rows)]
    place = whole.clips.schema.get_field_index("discharge")
    table = whole.clips.set_column(place, "discharge", pa.array(labels, pa.int8()))
    rows = altered_clips.subset(replace(whole, clips=table), 1000).rows
    assert sorted(rows.tolist()) == list(range(0, whole.clips.num_rows, 2))


def test_a_change_is_drawn_from_the_clip_alone() -> None:
    change = altered_clips.drawn_change("recorder", 0.5)
    clip = toy.silent(moving_frames(0, 16, 64))
    plain = clip.frames.copy()
    assert np.array_equal(change(clip, "a").frames, change(clip, "a").frames)
    assert not np.array_equal(change(clip, "a").frames, change(clip, "b").frames)
    assert np.array_equal(clip.frames, plain)


def test_sound_follows_pictures_whose_pace_changes_and_no_others() -> None:
    clip = toy.silent(moving_frames(0, 16, 64))
    clip.sound[:] = np.random.default_rng(0).integers(-9000, 9000, clip.sound.size)
    paced = next(one for one in TRANSFORMS.values() if one.follow is not None)
    changed = altered_clips.drawn_change(paced.name, 1.0)(clip, "a")
    assert not np.array_equal(changed.sound, clip.sound)
    still = altered_clips.drawn_change("recorder", 0.5)(clip, "a")
    assert np.array_equal(still.sound, clip.sound)


def test_a_change_of_sound_leaves_the_pictures() -> None:
    clip = toy.silent(moving_frames(0, 16, 64))
    clip.sound[:] = np.random.default_rng(0).integers(-9000, 9000, clip.sound.size)
    changed = altered_clips.drawn_change("mute", 1.0, share=1.0)(clip, "a")
    assert not changed.sound.any()
    assert np.array_equal(changed.frames, clip.frames)


def test_what_is_forced_is_not_drawn() -> None:
    clip = toy.silent(np.zeros((16, 64, 64, 3), np.uint8))
    bars = altered_clips.drawn_change("letterbox", 0.5, share=0.25, upright=False, ink=[9, 9, 9])
    out = bars(clip, "a").frames
    assert (out[:, :16] == 9).all()
    assert (out[:, -16:] == 9).all()
    assert not out[:, 16:-16].any()


def test_scores_are_of_the_changed_clip_and_each_clip_is_read_once() -> None:
    reads: list[int] = []

    def read(row: int) -> Sample:
        reads.append(row)
        return toy.silent(np.full((2, 4, 4, 3), row, np.uint8))

    def predict(clips: np.ndarray) -> np.ndarray:
        share = clips[:, 0, 0, 0, 0] / 255
        return np.stack([share, 1 - share, 0 * share, 0 * share], axis=1)

    evidence = replace(toy.evidence(predict=predict), batch_size=3)
    chosen = altered_clips.subset(replace(evidence.judged_sets[0], read=read), 10)
    more = altered_clips.of_pictures(lambda frames, _: frames + 100)
    changes = {"none": Change("none", lambda clip, _: clip), "more": Change("more", more)}
    found = altered_clips.score(evidence, chosen, changes, "")
    assert found["none"]["score"].to_numpy() == pytest.approx(chosen.rows / 255)
    assert found["more"]["score"].to_numpy() == pytest.approx((chosen.rows + 100) / 255)
    assert found["more"]["clip_id"].to_pylist() == chosen.clips["clip_id"].to_pylist()
    assert reads == chosen.rows.tolist()


@pytest.mark.parametrize(("num_negatives", "above"), [(99, 0), (100, 1), (250, 2)])
def test_the_threshold_lets_one_in_a_hundred_negatives_pass(num_negatives: int, above: int) -> None:
    sources = (Source("a", "real", 3, 0), Source("b", "game", 0, num_negatives))
    table = toy.scored(sources).slice(0, 15 + num_negatives)
    val = JudgedSet("val", "", table, toy.clip, "")
    limit = altered_clips.threshold(val)
    negatives = val.examples.score[~val.examples.is_shooting]
    assert negatives.size == num_negatives
    assert int((negatives > limit).sum()) == above


def test_without_validation_there_is_no_threshold() -> None:
    assert altered_clips.threshold(None) is None
