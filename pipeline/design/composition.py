"""Counts the recordings of each class in the splits, and says what a run can do with so many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.config import SplitConfig
from pipeline.design.assignment import NO_SPLIT, NUM_DRAWN, Columns, wanted_shares
from pipeline.store.manifest import CLASSES, EVERY_SPLIT, IS_DISCHARGE, REAL_SHOOTING, SPLITS

_CONF = "conf/split.yaml"
_SEEN = ", seen"


@dataclass(frozen=True)
class Composition:
    """Recordings by class; those that copies join count as one, each for all of its classes."""

    counts: NDArray[np.int64]
    """(classes, splits), in the order of `CLASSES` and `EVERY_SPLIT`."""
    seen: NDArray[np.int64]
    """(classes, splits): those of `counts` in which pictures show it; all of classes without a
    discharge."""
    kept_out: NDArray[np.int64]
    """(classes,): of no split, since they belong to a recording of an unseen source."""
    untimed: NDArray[np.int64]
    """(classes,): that would count if `discharges_s` told when they show a discharge."""
    num_recordings: int
    num_clusters: int

    @classmethod
    def of(
        cls, columns: Columns, cluster: NDArray[np.int64], splits: NDArray[np.int8]
    ) -> Composition:
        """Count N clips, their clusters and their splits, (N,) each."""

        def clusters(here: NDArray[np.bool_]) -> int:
            return len(np.unique(cluster[here]))

        def by_split(label: int, counted: NDArray[np.bool_]) -> list[int]:
            own = (columns.label == label) & counted
            return [clusters(own & (splits == number)) for number in range(len(EVERY_SPLIT))]

        labels = range(len(CLASSES))
        return cls(
            np.array([by_split(one, np.ones_like(columns.only_heard)) for one in labels]),
            np.array([by_split(one, ~columns.only_heard) for one in labels]),
            np.array([clusters((columns.label == one) & (splits == NO_SPLIT)) for one in labels]),
            np.array([clusters(columns.untimed == label) for label in labels]),
            len(np.unique(columns.recording)),
            len(np.unique(cluster)),
        )

    def table(self) -> str:
        """A heading, and then a line a class, a column a split; of long recordings if there are.

        Where a discharge is only heard in some of them, another line counts those that show one.
        """
        heading = f"recordings of each class; {self._held()}"
        rows: list[tuple[str, Sequence[object]]] = [("", EVERY_SPLIT)]
        for label, name in enumerate(CLASSES):
            rows.append((name, self.counts[label].tolist()))
            if (self.seen[label] < self.counts[label]).any():
                rows.append((name + _SEEN, self.seen[label].tolist()))
        width = max(len(name) for name, _ in rows)
        there = np.flatnonzero(self.counts.any(axis=0)).tolist()
        shown = [n for n, name in enumerate(EVERY_SPLIT) if name in SPLITS or n in there]
        lines = (
            f"  {name:{width}}" + "".join(f"{values[n]:>{_column(n)}}" for n in shown)
            for name, values in rows
        )
        return "\n".join([heading, *lines])

    def problem(self, cfg: SplitConfig) -> str | None:
        """Return why there can be no training or no report, with the remedy; None if there can."""
        empty = [
            name for name in wanted_shares(cfg) if not self._needed(name).any() and name != "train"
        ]
        untaught = np.flatnonzero(self._needed("train") == 0).tolist()
        if untaught:
            return f"there is nothing to train on of {self._mended(untaught, cfg)}"
        if empty:
            return (
                f"nothing is left for {' and '.join(empty)}, since train needs each class and "
                f"{self._held()}; {_ENOUGH}"
            )
        return None

    def shortcomings(self, cfg: SplitConfig) -> list[str]:
        """Lists what training and the report do without, each with the remedy."""
        found = []
        lacking = {
            split: np.flatnonzero(self._needed(split) == 0).tolist()
            for split in ("val", "test")
            if split in wanted_shares(cfg)
        }
        if lacking["val"]:
            is_heard = self.counts[lacking["val"], SPLITS.index("val")].any()
            operating = "" if is_heard else ", and so does the operating point"
            found.append(
                f"val shows no {_names(lacking['val'])}: train goes on, but "
                f"{_chosen(self._needed('val') > 0)} and calibrates without"
                f"{operating}"
            )
        if lacking.get("test"):
            found.append(
                f"test holds no {_names(lacking['test'])}: the report shows a dash for what takes "
                "some"
            )
        divided = self.seen[:, :NUM_DRAWN].sum(axis=1)
        scarce = sorted(set().union(*lacking.values()))
        few = [one for one in scarce if divided[one] < NUM_DRAWN]
        bound = [one for one in scarce if divided[one] >= NUM_DRAWN]
        if few:
            found.append(
                f"It takes {NUM_DRAWN} recordings of a class for train, val and test to have one "
                f"each; there are too few of {self._mended(few, cfg)}"
            )
        if bound:
            found.append(
                "Recordings that hold several classes are needed elsewhere for another of them; "
                f"there are too few of {self._mended(bound, cfg)}"
            )
        if found:
            found.append(
                f"Other seeds of {_CONF} leave out others, so that a mean over them tells more "
                "than one draw (cross-validation): dvc exp run --queue -S "
                f"'{_CONF}:seed=1,2,3,4', dvc queue start, and then python -m pipeline compare "
                "'over=[split.seed]'"
            )
        if "test" not in lacking:
            found.append(
                "test_fraction is 0, so there is no test: evaluate needs other splits "
                "(conf/evaluate.yaml)"
            )
        return found

    def _mended(self, labels: Sequence[int], cfg: SplitConfig) -> str:
        """Names of classes, those with the same remedies together, and these."""
        names_of: dict[str, list[str]] = {}
        for one in labels:
            names_of.setdefault(self._remedy(one, cfg), []).append(CLASSES[one])
        return "; and of ".join(
            f"{', '.join(names)}: {remedy}" for remedy, names in names_of.items()
        )

    def _remedy(self, label: int, cfg: SplitConfig) -> str:
        remedies = []
        if self.untimed[label]:
            remedies.append(
                f"fill in discharges_s, since {_recordings(int(self.untimed[label]))} have "
                "discharge 1 without times in index.csv (discern review propose FOLDER finds them "
                "with a detector that there is)"
            )
        if self.counts[label, SPLITS.index("unseen")] or self.kept_out[label]:
            remedies.append(
                "hold out fewer sources (unseen_sources in conf/split.yaml, which take what they "
                "share a recording or a copy with out of the other splits)"
            )
        only_heard = int((self.counts - self.seen)[label].sum())
        remedies.append(
            f"add recordings{_that_show(only_heard)} (under footage/, or collections in "
            "conf/ingest.yaml)"
        )
        return ", or ".join(remedies)

    def _needed(self, split: str) -> NDArray[np.int64]:
        """(classes,): recordings that count in a split; weights are fitted and chosen by pictures.

        So in train and val those in which a discharge is only heard do not, as they do in test.
        """
        counts = self.seen if split in ("train", "val") else self.counts
        return counts[:, SPLITS.index(split)]

    def _held(self) -> str:
        held = f"there are {_recordings(self.num_recordings)} in all"
        if self.num_clusters < self.num_recordings:
            held += f", which copies join into {self.num_clusters} that count"
        return held


_ENOUGH = (
    f"add recordings: {NUM_DRAWN} of each class let train, val and test have one each, and more "
    "follow the fractions"
)


def _that_show(only_heard: int) -> str:
    if not only_heard:
        return ""
    return (
        f" that show a discharge, since in {_recordings(only_heard)} it is only heard (heard_s in "
        "index.csv), which pictures learn nothing from"
    )


def _chosen(there: NDArray[np.bool_]) -> str:
    """Return how train chooses weights by a val split with these classes, (classes,).

    By the ranking of the discharge where an encoder answers on the origin, else of the score.
    """
    fired = there & np.array(IS_DISCHARGE)
    by_score = there[REAL_SHOOTING] and there.sum() > 1
    by_discharge = fired.any() and (there & ~fired).any()
    if by_score and by_discharge:
        return "chooses its weights"
    if by_score or by_discharge:
        encoder = "with" if by_score else "without"
        return f"chooses its weights ({encoder} an encoder of pictures by the loss)"
    return "chooses its weights by the loss"


def _column(split: int) -> int:
    return max(8, len(EVERY_SPLIT[split]) + 2)


def _names(labels: Sequence[int]) -> str:
    return ", ".join(CLASSES[label] for label in labels)


def _recordings(number: int) -> str:
    return f"{number} recording{'' if number == 1 else 's'}"
