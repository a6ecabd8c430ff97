from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import SplitConfig
from pipeline.design import assignment
from pipeline.store import manifest
from pipeline.store.manifest import CLASSES, EVERY_SPLIT, Clip
from tests.store.test_manifest import CLIP

CFG = SplitConfig(
    seed=3,
    val_fraction=0.2,
    test_fraction=0.2,
    unseen_sources=[],
    long_recordings=[],
    train_only=[],
)


def clips(num_recordings: int = 40, clips_each: int = 3) -> list[Clip]:
    return [
        replace(
            CLIP,
            clip_id=f"{recording:04x}{number}",
            recording=f"c/{recording}",
            pixels_sha256=f"{recording}-{number}",
            origin="real" if recording % 2 else "game",
            source=f"s{recording % 4}",
            discharge=recording % 8 < 4,
            seen=recording % 8 < 4,
        )
        for recording in range(num_recordings)
        for number in range(clips_each)
    ]


def assigned(folder: Path, rows: list[Clip], cfg: SplitConfig = CFG) -> list[Clip]:
    """The clips with the cluster and the split that the pure functions give them."""
    manifest.write_rows(folder / "rows", Clip, rows)
    columns = assignment.read_columns(folder / "rows")
    cluster = assignment.first_recordings(columns, assignment.belonging_together(columns))
    return [
        replace(
            clip,
            cluster=columns.recordings[first],
            split=None if number == assignment.NO_SPLIT else EVERY_SPLIT[number],
        )
        for clip, first, number in zip(
            rows, cluster, assignment.assign(columns, cluster, cfg), strict=True
        )
    ]


def splits_of(rows: list[Clip], key: str) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = defaultdict(set)
    for clip in rows:
        found[getattr(clip, key)].add(clip.split)
    return found


def test_no_recording_straddles_splits_and_the_fractions_are_kept(tmp_path: Path) -> None:
    of_recording = splits_of(assigned(tmp_path, clips()), "recording")
    assert all(len(names) == 1 for names in of_recording.values())
    assert Counter(next(iter(names)) for names in of_recording.values()) == {
        "train": 24,
        "val": 8,
        "test": 8,
    }


def test_every_source_and_class_is_in_every_split(tmp_path: Path) -> None:
    strata = {(c.split, c.source, c.discharge) for c in assigned(tmp_path, clips())}
    assert len(strata) == 3 * 8


def test_recordings_that_share_pixels_stay_together(tmp_path: Path) -> None:
    linked = [
        replace(c, pixels_sha256="same") if c.recording in ("c/0", "c/5", "c/9") else c
        for c in clips()
    ]
    found = assigned(tmp_path, linked)
    together = {c.split for c in found if c.recording in ("c/0", "c/5", "c/9")}
    assert len(together) == 1
    assert {c.cluster for c in found if c.recording in ("c/5", "c/9")} == {"c/0"}


def test_the_seed_decides_and_the_order_of_clips_does_not(tmp_path: Path) -> None:
    def by_id(rows: list[Clip]) -> dict[str, str | None]:
        return {c.clip_id: c.split for c in rows}

    found = by_id(assigned(tmp_path, clips()))
    assert found == by_id(assigned(tmp_path, clips()[::-1]))
    assert found != by_id(assigned(tmp_path, clips(), replace(CFG, seed=4)))


def test_an_unseen_source_is_held_out_whole_and_taints_its_clusters(tmp_path: Path) -> None:
    mixed = [replace(c, source="twin") if c.recording == "c/2" else c for c in clips()]
    mixed = [
        replace(c, pixels_sha256="same") if c.recording in ("c/2", "c/6") else c for c in mixed
    ]
    found = assigned(tmp_path, mixed, replace(CFG, unseen_sources=["s2"]))
    assert splits_of(found, "source")["s2"] == {"unseen"}
    assert {c.split for c in found if c.recording == "c/2"} == {None}
    assert "unseen" not in splits_of(found, "source")["s1"]


def test_a_clip_of_unknown_label_serves_no_split(tmp_path: Path) -> None:
    some = [replace(c, discharge=None) if c.clip_id.endswith("1") else c for c in clips()]
    found = assigned(tmp_path, some)
    assert all((c.split is None) == (c.discharge is None) for c in found)


HEARD = 10


def counts(holdings: Sequence[set[int]], cfg: SplitConfig = CFG) -> list[list[int]]:
    """Clusters of each class in train, val and test, of clusters that hold clips of `holdings`.

    A class of `HEARD` more is one whose discharge is only heard; train and val count none.
    """
    clusters, held = np.array(
        [(number, label) for number, held in enumerate(holdings) for label in sorted(held)]
    ).T
    labels, only_heard = held % HEARD, held >= HEARD
    columns = assignment.Columns(
        recordings=[str(number) for number in range(len(holdings))],
        recording=clusters,
        pixels=np.arange(len(clusters)),
        sources=["a", "b", "c"],
        source=clusters % 3,
        label=labels.astype(np.int8),
        only_heard=only_heard,
        untimed=np.full(len(labels), -1, np.int8),
        size=1000 + 37 * clusters % 101,
    )
    found = assignment.assign(columns, clusters, cfg)
    return [
        [
            len({*clusters[(labels == label) & (found == split) & counted].tolist()})
            for split, counted in enumerate([~only_heard, ~only_heard, only_heard | True])
        ]
        for label in range(len(CLASSES))
    ]


def each_alone(num_each: int) -> list[set[int]]:
    return [{label} for label in range(len(CLASSES)) for _ in range(num_each)]


def with_quiet_windows(num_each: int) -> list[set[int]]:
    """Recordings with a discharge hold windows without one too."""
    return [
        {label} if label > 1 else {label, label + 2}
        for label in range(len(CLASSES))
        for _ in range(num_each)
    ]


@pytest.mark.parametrize("made", [each_alone, with_quiet_windows])
@pytest.mark.parametrize("num_each", [3, 4, 5, 6, 9])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fractions", [(0.15, 0.25), (0.05, 0.05), (0.4, 0.5)])
def test_a_class_of_three_recordings_is_in_every_split(
    made: object, num_each: int, seed: int, fractions: tuple[float, float]
) -> None:
    assert callable(made)
    val, test = fractions
    found = counts(made(num_each), SplitConfig(seed, val, test, [], [], []))
    assert np.min(found) >= 1


def test_beyond_one_each_the_fractions_decide() -> None:
    cfg = SplitConfig(7, 0.15, 0.25, [], [], [])
    assert np.sum(counts(each_alone(5), cfg), axis=0).tolist() == [11, 4, 5]
    assert np.sum(counts(each_alone(20), cfg), axis=0).tolist() == [48, 12, 20]


@pytest.mark.parametrize("seed", range(5))
def test_a_class_of_two_is_in_train_and_test_and_of_one_in_train(seed: int) -> None:
    cfg = SplitConfig(seed, 0.15, 0.25, [], [], [])
    found = counts([{0}, {0}, {1}, *each_alone(4)[8:]], cfg)
    assert found[0] == [1, 0, 1]
    assert found[1] == [1, 0, 0]
    assert np.min(found[2:]) >= 1


@pytest.mark.parametrize("seed", range(5))
def test_two_recordings_of_each_class_leave_none_of_the_splits_empty(seed: int) -> None:
    found = np.array(counts(each_alone(2), SplitConfig(seed, 0.15, 0.25, [], [], [])))
    assert found[:, 0].tolist() == [1, 1, 1, 1]
    assert found[:, 1].sum() == 1
    assert found[:3, 2].tolist() == [1, 1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_train_and_val_get_the_discharges_that_are_seen(seed: int) -> None:
    quiet = each_alone(6)[12:]
    heard = [{HEARD + label} for label in (0, 1) for _ in range(6)]
    cfg = SplitConfig(seed, 0.15, 0.25, [], [], [])
    for num_seen, least in ((2, [1, 1, 1]), (1, [1, 0, 1])):
        seen = [{label} for label in (0, 1) for _ in range(num_seen)]
        found = np.array(counts([*quiet, *heard, *seen], cfg))
        assert (found[:2] >= least).all(), (num_seen, found)


def test_recordings_in_which_a_discharge_is_only_heard_are_known(tmp_path: Path) -> None:
    rows = clips(4, 1)
    rows[1] = replace(rows[1], seen=None)
    rows[2] = replace(rows[2], discharge=None, seen=None, unused="discharge_at_edge")
    manifest.write_rows(tmp_path / "rows", Clip, rows)
    found = assignment.read_columns(tmp_path / "rows")
    assert found.only_heard.tolist() == [False, True, False, False]


def test_a_split_without_a_share_gets_nothing() -> None:
    found = np.array(counts(each_alone(3), SplitConfig(3, 0.2, 0.0, [], [], [])))
    assert found[:, :2].min() >= 1
    assert found[:, 2].sum() == 0


def test_whatever_recordings_hold_a_class_misses_a_split_only_if_it_must() -> None:
    rng = np.random.default_rng(0)
    outcomes = []
    while len(outcomes) < 60:
        held = [{*rng.choice(4, rng.integers(1, 4), replace=False).tolist()} for _ in range(6)]
        if min(sum(label in one for one in held) for label in range(4)) >= 3:
            met = bool(np.min(counts(held)) >= 1)
            assert met == any(
                meets(held, splits) for splits in itertools.product(range(3), repeat=6)
            )
            outcomes.append(met)
    assert set(outcomes) == {True, False}


def meets(held: Sequence[set[int]], splits: Sequence[int]) -> bool:
    """Whether each split has each class."""
    pairs = {(split, label) for split, one in zip(splits, held, strict=True) for label in one}
    return len(pairs) == 12


def test_a_draw_that_misses_no_split_is_that_of_the_fractions_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = assigned(tmp_path, clips(80))
    monkeypatch.setattr(assignment, "_needs", lambda *_: frozenset())
    assert found == assigned(tmp_path, clips(80))


def test_the_class_that_times_would_give_is_known(tmp_path: Path) -> None:
    rows = clips(4, 1)
    rows[1] = replace(rows[1], discharge=None, unused="no_discharge_times")
    rows[2] = replace(rows[2], discharge=None, unused="no_discharge_times")
    rows[3] = replace(rows[3], discharge=None, unused="discharge_at_edge")
    manifest.write_rows(tmp_path / "rows", Clip, rows)
    untimed = assignment.read_columns(tmp_path / "rows").untimed
    expected = [-1, CLASSES.index("real_shooting"), CLASSES.index("fictional_shooting"), -1]
    assert untimed.tolist() == expected


def weak(rows: list[Clip], *recordings: str) -> list[Clip]:
    """The rows, with the clips of recordings that show a discharge nobody knows when."""
    unknown = {"discharge": None, "seen": None, "unused": "no_discharge_times"}
    return [replace(clip, **unknown) if clip.recording in recordings else clip for clip in rows]


def test_what_nobody_knows_the_times_of_is_in_train_and_moves_no_other(tmp_path: Path) -> None:
    without = [clip for clip in clips() if clip.recording not in ("c/0", "c/1")]
    expected = [clip.split for clip in assigned(tmp_path, without)]
    found = assigned(tmp_path, weak(clips(), "c/0", "c/1"))
    assert {clip.split for clip in found if clip.recording in ("c/0", "c/1")} == {"train"}
    assert [clip.split for clip in found if clip.recording not in ("c/0", "c/1")] == expected


def test_nobody_is_judged_by_windows_without_times(tmp_path: Path) -> None:
    """One clip of three has no label; it is of use where its recording is in train alone."""
    rows = clips()
    rows[::3] = weak(rows[::3], *(clip.recording for clip in rows if clip.discharge))
    found = assigned(tmp_path, rows, replace(CFG, unseen_sources=["s2"], long_recordings=["c/1*"]))
    unknown = [clip for clip in found if clip.discharge is None]
    assert {clip.split for clip in unknown} == {"train", None}
    split_of = splits_of([clip for clip in found if clip.discharge is not None], "recording")
    for clip in unknown:
        expected = "train" if split_of[clip.recording] == {"train"} else None
        assert clip.split == expected


@pytest.mark.parametrize("held", [{"unseen_sources": ["s0"]}, {"long_recordings": ["c/0"]}])
def test_what_is_held_out_or_long_is_in_no_bag(tmp_path: Path, held: dict[str, list[str]]) -> None:
    found = assigned(tmp_path, weak(clips(), "c/0"), replace(CFG, **held))
    assert {clip.split for clip in found if clip.recording == "c/0"} == {None}


class TestLongRecordings:
    @staticmethod
    def rows() -> list[Clip]:
        """40 short recordings and 8 long ones of twelve clips, half of them real shootings."""
        long = [
            replace(clip, clip_id=f"long{number}", recording=f"c/long-{clip.recording[2:]}")
            for number, clip in enumerate(clips(num_recordings=8, clips_each=12))
        ]
        long = [replace(clip, pixels_sha256=clip.clip_id) for clip in long]
        return [*clips(), *long]

    def test_they_are_in_splits_of_their_own_and_move_no_other(self, tmp_path: Path) -> None:
        found = assigned(tmp_path, self.rows(), replace(CFG, long_recordings=["c/long-*"]))
        without = assigned(tmp_path, clips())
        short = [clip for clip in found if "long" not in clip.recording]
        assert [clip.split for clip in short] == [clip.split for clip in without]
        long = splits_of([clip for clip in found if "long" in clip.recording], "recording")
        assert Counter(split for splits in long.values() for split in splits) == {
            "val_long": 4,
            "test_long": 4,
        }

    def test_each_class_is_divided_evenly(self, tmp_path: Path) -> None:
        found = assigned(tmp_path, self.rows(), replace(CFG, long_recordings=["c/long-*"]))
        classes = {
            split: Counter((clip.origin, clip.discharge) for clip in found if clip.split == split)
            for split in ("val_long", "test_long")
        }
        assert classes["val_long"].total() == classes["test_long"].total() == 48

    def test_what_is_held_out_stays_held_out(self, tmp_path: Path) -> None:
        cfg = replace(CFG, long_recordings=["c/long-*"], unseen_sources=["s1"])
        found = assigned(tmp_path, self.rows(), cfg)
        of_source = {clip.split for clip in found if clip.source == "s1"}
        assert of_source == {"unseen", "unseen_long"}
        assert all(clip.source == "s1" for clip in found if clip.split in of_source)

    def test_copies_of_long_recordings_are_never_trained_on(self, tmp_path: Path) -> None:
        rows = self.rows()
        rows[0] = replace(rows[0], pixels_sha256=rows[-1].pixels_sha256)
        found = assigned(tmp_path, rows, replace(CFG, long_recordings=["c/long-*"]))
        copied = {clip.split for clip in found if clip.recording == rows[0].recording}
        assert copied == {found[-1].split}
        assert copied <= {"val_long", "test_long"}

    def test_without_test_all_serve_val(self, tmp_path: Path) -> None:
        cfg = replace(CFG, long_recordings=["c/long-*"], test_fraction=0.0)
        found = assigned(tmp_path, self.rows(), cfg)
        assert {clip.split for clip in found if "long" in clip.recording} == {"val_long"}


class TestNamedRecordings:
    def named(self, folder: Path, patterns: list[str]) -> set[str]:
        rows = clips(4, 1)
        manifest.write_rows(folder / "rows", Clip, rows)
        columns = assignment.read_columns(folder / "rows")
        found = assignment.are_named(columns, patterns)
        return {row.recording for row, one in zip(rows, found, strict=True) if one}

    def test_a_pattern_names_collection_and_recording(self, tmp_path: Path) -> None:
        assert self.named(tmp_path, ["c/1"]) == {"c/1"}
        assert self.named(tmp_path, ["*/2", "d/*"]) == {"c/2"}
        assert self.named(tmp_path, []) == set()

    def test_capitals_count(self, tmp_path: Path) -> None:
        assert self.named(tmp_path, ["C/1"]) == set()


class TestTrainOnly:
    CHOSEN = replace(CFG, train_only=["*/review-chosen/*"])

    @staticmethod
    def rows() -> list[Clip]:
        """40 recordings, and 20 that were chosen by the detector."""
        chosen = [
            replace(clip, clip_id=f"x{clip.clip_id}", pixels_sha256=f"x{clip.pixels_sha256}")
            for clip in clips(num_recordings=20)
        ]
        chosen = [replace(c, recording=f"c/review-chosen/{c.recording[2:]}") for c in chosen]
        return [*clips(), *chosen]

    def test_they_are_trained_on_and_move_no_other(self, tmp_path: Path) -> None:
        assert {"val", "test"} <= {clip.split for clip in assigned(tmp_path, self.rows())[-60:]}
        found = assigned(tmp_path, self.rows(), self.CHOSEN)
        assert {clip.split for clip in found[-60:]} == {"train"}
        without = assigned(tmp_path, clips())
        assert [clip.split for clip in found[:-60]] == [clip.split for clip in without]

    def test_what_copies_them_is_not_judged_by_either(self, tmp_path: Path) -> None:
        rows = self.rows()
        judged = next(c for c in assigned(tmp_path, clips()) if c.split == "test")
        place = [clip.clip_id for clip in rows].index(judged.clip_id)
        rows[place] = replace(rows[place], pixels_sha256=rows[-1].pixels_sha256)
        found = assigned(tmp_path, rows, self.CHOSEN)
        assert {c.split for c in found if c.recording == judged.recording} == {"train"}

    def test_of_sources_held_out_and_long_ones_they_serve_no_split(self, tmp_path: Path) -> None:
        cfg = replace(
            self.CHOSEN, unseen_sources=["s1"], long_recordings=["c/review-chosen/2", "c/6"]
        )
        found = assigned(tmp_path, self.rows(), cfg)
        chosen = found[-60:]
        assert {clip.split for clip in chosen if clip.source == "s1"} == {None}
        assert {c.split for c in chosen if c.recording.endswith("/2")} == {None}
        assert {clip.split for clip in chosen} == {None, "train"}
        assert {"unseen"} == {clip.split for clip in found[:-60] if clip.source == "s1"}
        assert {c.split for c in found if c.recording == "c/6"} <= {"val_long", "test_long"}

    def test_what_is_held_out_stays_to_be_judged_by_beside_copies(self, tmp_path: Path) -> None:
        rows, cfg = self.rows(), replace(self.CHOSEN, unseen_sources=["s1"])
        place = [clip.source for clip in rows].index("s1")
        rows[place] = replace(rows[place], pixels_sha256=rows[-1].pixels_sha256)
        found = assigned(tmp_path, rows, cfg)
        assert (found[place].split, found[-1].split) == ("unseen", None)


def test_long_recordings_take_the_short_ones_of_their_cluster_along(tmp_path: Path) -> None:
    rows = clips(8, 1)
    rows[1] = replace(rows[1], pixels_sha256=rows[0].pixels_sha256)
    found = assigned(tmp_path, rows, replace(CFG, long_recordings=["c/0"]))
    assert {clip.split for clip in found[:2]} <= {"val_long", "test_long"}
