"""Names the files of which no window serves a split, with the reason and the remedy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from pipeline.footage.labels import UNLABELLED
from pipeline.store import manifest
from pipeline.store.manifest import Clip, Reject
from pipeline.system.visible_text import plain

CLUSTER_OF_UNSEEN = "cluster_of_unseen"
"""Why a clip with a label serves no split."""
MOST_NAMED = 10
"""Files of one reason that are named; a log of more would not be read."""
_LONGEST_NAME = 120
_WINDOWS = UNLABELLED | {
    CLUSTER_OF_UNSEEN: "belong to a recording, or are copies of one, of which a part is of "
    "unseen_sources in conf/split.yaml (nothing to do)"
}


@dataclass(frozen=True)
class _Reason:
    """Tells why a file serves no split.

    Attributes:
        codes: of the reject, or of what its windows lack; sorted.
        told: what such files have in common.
    """

    codes: tuple[str, ...]
    told: str


@dataclass(frozen=True)
class UnusedFiles:
    """The files of a collection that serve no split, though they were not to be forgotten."""

    num_files: int
    """Number of all files that there are."""
    names: dict[_Reason, list[str]]
    """`<collection>/<path>` by what they have in common, in the order of the manifest."""

    @classmethod
    def of(cls, clips: Path, splits: Path) -> UnusedFiles:
        """Look at the rejects of ingest in `clips`, and at the manifest with splits in `splits`."""
        names: dict[_Reason, list[str]] = defaultdict(list)
        num_rejects = 0
        for reject in manifest.read_rows(clips / manifest.REJECTS, Reject):
            num_rejects += 1
            if reject.reason != "forgotten":
                told = f"that ingest rejected: {reject.reason} ({reject.remedy})"
                names[_Reason((reject.reason,), told)].append(f"{reject.collection}/{reject.path}")
        with manifest.open_table(splits / manifest.MANIFEST, Clip) as file:
            table = file.read(["collection", "path", "split", "unused"])
        valid = pc.CountOptions(mode="only_valid")
        files = table.group_by(["collection", "path"], use_threads=False).aggregate(
            [("split", "count", valid), ("unused", "distinct", valid)]
        )
        for row in files.filter(pc.equal(files["split_count"], 0)).to_pylist():
            codes = tuple(sorted(row["unused_distinct"]))
            told = " or ".join(_WINDOWS[code] for code in codes)
            reason = _Reason(codes, f"of which all windows {told}")
            names[reason].append(f"{row['collection']}/{row['path']}")
        return cls(num_rejects + files.num_rows, dict(names))

    def counts(self) -> Counter[str]:
        """Files by the codes of their reasons."""
        found: Counter[str] = Counter()
        for reason, names in self.names.items():
            found[" ".join(reason.codes)] += len(names)
        return found

    def sentence(self) -> str | None:
        """Return how many there are, and a line a reason with names; None where there are none."""
        if not self.names:
            return None
        heading = f"{self.counts().total()} of {self.num_files} files serve no split (discern "
        return "\n  ".join([f"{heading}explain tells more of each):", *self._lines()])

    def _lines(self) -> Iterator[str]:
        for reason, names in self.names.items():
            more = [f"{len(names) - MOST_NAMED} more"] * (len(names) > MOST_NAMED)
            named = [plain(name, _LONGEST_NAME) for name in names[:MOST_NAMED]]
            yield f"{len(names)} {reason.told}: {', '.join([*named, *more])}"
