"""Counts the recordings of each class in the splits, and says what a run can do with so many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.config import SplitConfig
from pipeline.design.assignment import NO_SPLIT, NUM_DRAWN, Columns, wanted_shares
from pipeline.store.manifest import CLASSES, EVERY_SPLIT, REAL_SHOOTING, SPLITS

_CONF = "conf/split.yaml"


@dataclass(frozen=True)
class Composition:
    """Recordings by class; those that copies join count as one, each for all of its classes."""

    counts: NDArray[np.int64]
    """(classes, splits), in the order of `CLASSES` and `EVERY_SPLIT`."""
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

        labels = range(len(CLASSES))
        return cls(
            np.array(
                [
                    [
                        clusters((columns.label == label) & (splits == number))
                        for number in range(len(EVERY_SPLIT))
                    ]
                    for label in labels
                ]
            ),
            np.array([clusters((columns.label == one) & (splits == NO_SPLIT)) for one in labels]),
            np.array([clusters(columns.untimed == label) for label in labels]),
            len(np.unique(columns.recording)),
            len(np.unique(cluster)),
        )

    def table(self) -> str:
        """A heading, and then a line a class, a column a split; of long recordings if there are."""
        heading = f"recordings of each class; {self._held()}"
        width = max(map(len, CLASSES))
        there = np.flatnonzero(self.counts.any(axis=0)).tolist()
        shown = [n for n, name in enumerate(EVERY_SPLIT) if name in SPLITS or n in there]
        rows = [("", EVERY_SPLIT), *zip(CLASSES, self.counts.tolist(), strict=True)]
        lines = (
            f"  {name:{width}}" + "".join(f"{values[n]:>{_column(n)}}" for n in shown)
            for name, values in rows
        )
        return "\n".join([heading, *lines])

    def problem(self, cfg: SplitConfig) -> str | None:
        """Why there can be no training or no report, with the remedy; None if there can."""
        empty = [
            name
            for name in wanted_shares(cfg)
            if not self.counts[:, SPLITS.index(name)].any() and name != "train"
        ]
        untaught = np.flatnonzero(self.counts[:, SPLITS.index("train")] == 0).tolist()
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
            split: np.flatnonzero(self.counts[:, SPLITS.index(split)] == 0).tolist()
            for split in ("val", "test")
            if split in wanted_shares(cfg)
        }
        if lacking["val"]:
            missing = lacking["val"]
            can_rank = REAL_SHOOTING not in missing and len(missing) < len(CLASSES) - 1
            chosen = "chooses" if can_rank else "chooses its weights by the loss"
            found.append(
                f"val holds no {_names(lacking['val'])}: train goes on, but {chosen} and "
                "calibrates without, and so does the operating point"
            )
        if lacking.get("test"):
            found.append(
                f"test holds no {_names(lacking['test'])}: the report shows a dash for what takes "
                "some"
            )
        divided = self.counts[:, :NUM_DRAWN].sum(axis=1)
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
                "discharge 1 without times in index.csv"
            )
        if self.counts[label, SPLITS.index("unseen")] or self.kept_out[label]:
            remedies.append(
                "hold out fewer sources (unseen_sources in conf/split.yaml, which take what they "
                "share a recording or a copy with out of the other splits)"
            )
        remedies.append("add recordings (under footage/, or collections in conf/ingest.yaml)")
        return ", or ".join(remedies)

    def _held(self) -> str:
        held = f"there are {_recordings(self.num_recordings)} in all"
        if self.num_clusters < self.num_recordings:
            held += f", which copies join into {self.num_clusters} that count"
        return held


_ENOUGH = (
    f"add recordings: {NUM_DRAWN} of each class let train, val and test have one each, and more "
    "follow the fractions"
)


def _column(split: int) -> int:
    return max(8, len(EVERY_SPLIT[split]) + 2)


def _names(labels: Sequence[int]) -> str:
    return ", ".join(CLASSES[label] for label in labels)


def _recordings(number: int) -> str:
    return f"{number} recording{'' if number == 1 else 's'}"
