"""The first step of an evaluation: what a detector says of the splits, or of a collection."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.assess.judged_sets import JudgedSet
from pipeline.commands.evaluation.outputs import collection_clips
from pipeline.config import EvaluateApp
from pipeline.detect import clips, overlap
from pipeline.detect.alarm import Choice
from pipeline.detect.answers import Answers
from pipeline.detect.clips import Clips
from pipeline.detect.detector import Detector
from pipeline.detect.files import file_table, first_alerts
from pipeline.errors import UserError
from pipeline.footage.collection import read_index
from pipeline.footage.ingestion import ingest
from pipeline.footage.tombstones import forgotten
from pipeline.store import storage
from pipeline.store.finished_work import FinishedWork
from pipeline.store.manifest import (
    FILES,
    LONG,
    LONG_SPLITS,
    SPLITS,
    File,
    read_manifest,
    read_rejects,
    read_rows,
)
from pipeline.store.packed_samples import Packed
from pipeline.system import interrupts

log = logging.getLogger(__name__)

VARIANTS = "variants"
MEANINGS = {
    "test": "New recordings of known sources",
    "unseen": "Sources held out of training",
    "val": "Recordings that training was tuned on",
    "train": "What training saw",
    VARIANTS: "Augmented clips of new recordings",
    "val_long": "Long recordings that the operating point was chosen on",
    "test_long": "New long recordings of known sources",
    "unseen_long": "Long recordings of sources held out of training",
}


def check_splits(splits: Sequence[str]) -> None:
    """Raise `UserError` for a split that there is not, or for none."""
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown or not splits:
        raise UserError(f"conf/evaluate.yaml: splits {splits}; name some of {', '.join(SPLITS)}")


@dataclass(frozen=True)
class SampleScoring:
    """A detector that is asked, as a configuration says, and what it said before."""

    cfg: EvaluateApp
    detector: Detector
    answers: Answers

    @classmethod
    def begin(cls, cfg: EvaluateApp, detector: Detector, kept: FinishedWork) -> SampleScoring:
        """Ask a detector what is not kept of its answers."""
        return cls(cfg, detector, Answers(kept, detector.made_by()))

    @property
    def clip_s(self) -> float:
        """Length of a clip in seconds."""
        form = self.detector.card.clip
        return form.num_frames / form.fps

    @property
    def workers(self) -> int:
        """Batches or files that the detector is asked about at once; a GPU takes one."""
        return self.cfg.num_threads if self.detector.device == "cpu" else 1

    def progress(self, parts: Sequence[int], title: str, unit: str = "batch") -> Iterable[int]:
        """Show how far the work is."""
        return tqdm(parts, title, unit=unit, disable=not self.cfg.run.progress)

    def packed(self) -> Packed:
        """Open the packed samples."""
        cfg = self.cfg
        work = Path(cfg.paths.work)
        return clips.open_packed(self.detector, cfg.paths.packed, work, cfg.run.cache_gb)

    def splits(self, packed: Packed) -> list[JudgedSet]:
        """Score the original clips of each of `cfg.splits` that holds any.

        Raises:
            UserError: the first of them is empty.
        """
        found = {split: self.split(packed, split) for split in self.cfg.splits}
        first = self.cfg.splits[0]
        if found[first] is None:
            raise UserError(
                f"{packed.root}: no clip in the split '{first}'; give conf/split.yaml a larger "
                f"share for it, or add recordings"
            )
        return [one for one in found.values() if one is not None]

    def split(self, packed: Packed, split: str) -> JudgedSet | None:
        """Score the original clips of a split; None where there are none."""
        return self.rows(packed, split, packed.select([split], variants=False))

    def long(self, packed: Packed, splits: Sequence[str]) -> dict[str, JudgedSet]:
        """Score the long recordings beside some splits, by the name of the split."""
        found = {split: self.split(packed, split + LONG) for split in splits}
        return {split: one for split, one in found.items() if one is not None}

    def variants(self, packed: Packed) -> JudgedSet | None:
        """Score the augmented variants of test clips; None where there are none."""
        test = packed.select(["test"], variants=True)
        variant = packed.index["variant"].take(test)
        return self.rows(packed, VARIANTS, test[variant.is_valid().to_numpy(zero_copy_only=False)])

    def rows(self, packed: Packed, name: str, rows: NDArray[np.int64]) -> JudgedSet | None:
        """Score some packed samples; None where there are none."""
        return self.judged_set(name, clips.of_packed(packed, rows)) if rows.size else None

    def collection(self, collection: str, choice: Choice | None) -> JudgedSet:
        """Ingest a collection into the work folder, and score its clips and its files.

        Args:
            collection: a folder with an index.csv, or a URL of one.
            choice: the operating point, which tells when files alert; None for none.
        """
        cfg, name = self.cfg, storage.name(collection)
        if name in MEANINGS:
            # What a split is called means something to the report.
            name = f"{name} (collection)"
        with storage.fetched_index(collection, Path(cfg.paths.work)) as root:
            index = read_index(root)
        folder = self._ingested(collection)
        given = clips.open_ingested(self.detector, folder)
        one = self.judged_set(name, given)
        alerts_s = {} if choice is None else first_alerts(choice, one.clips, self.clip_s)
        marks = {file.path: file.marks for file in read_rows(folder / FILES, File)}
        files = file_table(index, one.clips, read_rejects(folder), alerts_s, marks)
        return replace(one, files=files)

    def _ingested(self, collection: str) -> Path:
        cfg, folder = self.cfg, collection_clips(self.cfg, collection)
        # A file that cannot be read is a row of the report here, however many there are.
        lenient = replace(cfg.ingest, max_reject_rate=1.0)
        tombstones, work = forgotten(Path(cfg.paths.footage)), Path(cfg.paths.work)
        # What a player shows must be scored, however damaged or short it is.
        ingest([collection], str(folder), lenient, work, cfg.run, tombstones, as_shown=True)
        interrupts.resume()
        return folder

    def judged_set(self, name: str, given: Clips) -> JudgedSet:
        """Score clips; recordings are followed frame by frame as well, where the detector can.

        What is said of a clip alone is comparable with what is said of it altered. Of long
        recordings, whose clips count nowhere, it is not asked, and variants are no recordings.
        """
        meaning = MEANINGS.get(name, "Files of the collection")
        follows = self.detector.can_stream and name != VARIANTS
        if follows and name in LONG_SPLITS:
            table, digest = self._followed(name, given)
            return JudgedSet(name, meaning, table, given.read, digest, given.samples)
        table, digest = clips.score(
            self.detector,
            given,
            batch_size=self.cfg.batch_size,
            answers=self.answers,
            progress=lambda batches: self.progress(batches, f"score {name}"),
            workers=self.workers,
        )
        if follows:
            place = table.schema.get_field_index("stream_score")
            in_streams = self._followed(name, given)[0]["stream_score"]
            table = table.set_column(place, table.schema.field(place), in_streams)
        return JudgedSet(name, meaning, table, given.read, digest, given.samples)

    def _followed(self, name: str, given: Clips) -> tuple[pa.Table, str]:
        return clips.play(
            self.detector,
            given,
            answers=self.answers,
            progress=lambda files: self.progress(files, f"follow {name}", "file"),
            workers=self.workers,
        )

    def learned_from(self, collection: str) -> list[str] | None:
        """Paths of files of an ingested collection that training had; None where none can tell."""
        cfg, folder = self.cfg, collection_clips(self.cfg, collection)
        paths, work = cfg.paths, Path(cfg.paths.work)
        try:
            packed = overlap.training_samples(self.detector, paths.models, paths.packed, work)
        except UserError as error:
            log.warning("evaluate: not told whether training had any of the files: %s", error)
            return None
        workers, splits = cfg.run.num_workers, overlap.LEARNED_FROM
        found = sorted(overlap.known_files(read_manifest(folder), folder, packed, workers, splits))
        for path in found:
            log.warning(
                "evaluate: %s: training had it, so that it may be told better than new files", path
            )
        return found
