"""Asks a detector about one file, which it follows frame by frame as `watch` does a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.commands.score import cost, rows
from pipeline.commands.score.answer_cache import AskedOnce
from pipeline.commands.score.cheap_pass import CheapPass
from pipeline.commands.score.cost import Costs
from pipeline.commands.score.listing import ListingRow
from pipeline.commands.score.rows import Row
from pipeline.commands.score.witness import ClipEvidence, Witness
from pipeline.config import ClipFormat
from pipeline.copies.hash_lists import MIN_QUALITY
from pipeline.detect import scores
from pipeline.detect.alarm import Choice
from pipeline.detect.detector import Detector
from pipeline.detect.files import file_table, first_alerts
from pipeline.detect.stream_scores import stream_scores
from pipeline.footage import account
from pipeline.footage.canonical import Canonical
from pipeline.footage.collection import IndexRow
from pipeline.footage.conversion import FileTask, Unusable
from pipeline.footage.listing import Collection, ListedFile
from pipeline.footage.windows import Window
from pipeline.review import levels
from pipeline.store import sound, video

_OF_FILE = ("num_clips", "score", "p_real", "p_discharge", "predicted", "alert_s")
_PLACE = "listing"


class FileScorer:
    """A detector that is asked about files, one at a time in each thread."""

    def __init__(
        self,
        detector: Detector,
        choice: Choice | None,
        cheap: CheapPass | None,
        batch_size: int,
    ) -> None:
        """Ask nothing yet.

        Args:
            detector: the weights.
            choice: the operating point, which tells when files alert; None for none.
            cheap: what excludes files before all of the detector is asked; None for nothing.
            batch_size: clips that are asked about together, at most.
        """
        self._detector, self._choice, self._cheap = detector, choice, cheap
        self._batch_size = batch_size
        self._asked = AskedOnce(detector.network)
        self._witness = Witness(detector.network)

    @property
    def device(self) -> str:
        """That the detector computes on."""
        return self._detector.device

    @property
    def step(self) -> str:
        """The first step in which a file is decoded."""
        return rows.FULL if self._cheap is None else rows.CHEAP

    def row(
        self, given: ListingRow, task: FileTask, made: Canonical | Unusable, costs: Costs
    ) -> Row:
        """The row of a file that was decoded, or could not be.

        Args:
            given: the row of the listing.
            task: how it was decoded.
            made: what became of it.
            costs: what it takes is added to these.
        """
        refused = why_not(given, task, made, self.step)
        if refused is not None:
            return refused
        assert isinstance(made, Canonical)
        with costs.timed(cost.DECODING):
            clips = DecodedClips(made.windows, task, self._detector.card.clip)
            found = self._known(given, made, clips)
        with self._asked.of_a_file():
            if self._cheap is not None:
                with costs.timed(cost.CHEAP):
                    excluded = self._excluded(self._cheap, clips)
                if excluded is not None:
                    return {**found, "step": rows.CHEAP, **excluded}
                self._asked.begin()
            return {**found, "step": rows.FULL, **self._all(_index(task), clips, made, costs)}

    def _excluded(self, cheap: CheapPass, clips: DecodedClips) -> Row | None:
        """Return what the cheap pass says of a file that it excludes."""
        p_discharge, heard = cheap.of(clips.frames, clips.sounds, self._batch_size)
        if not cheap.excludes(cheap.level(lambda: clips.table, p_discharge)):
            return None
        at_ends = p_discharge[:, -1]
        return {
            "num_clips": len(clips.frames),
            "p_discharge": float(at_ends.max()),
            "moments": clips.moments(None, at_ends, heard.max(1)),
        }

    def _all(self, index: IndexRow, clips: DecodedClips, made: Canonical, costs: Costs) -> Row:
        """Return what all of the detector says."""
        seen, clip_s = ClipEvidence(), clips.clip_s
        with costs.timed(cost.DETECTOR), self._witness.looking(seen):
            answers = self._answers(clips)
        in_streams = stream_scores(clips.table, answers, self._detector.card.memory, clip_s)
        at_ends = answers[:, -1]
        marks = [rows.marks_of(window.marks) for window in made.windows]
        table = scores.score_table(clips.table, at_ends, marks, in_streams)
        alerts_s = {} if self._choice is None else first_alerts(self._choice, table, clip_s)
        file = file_table([index], table, [], alerts_s, {}).to_pylist()[0]
        _, p_discharge = scores.marginals(at_ends)
        return {
            **{name: file[name] for name in _OF_FILE},
            "moments": clips.moments(in_streams, p_discharge, seen.heard_in(len(answers))),
            "embedding": seen.embedding(),
        }

    def _answers(self, clips: DecodedClips) -> scores.FloatArray:
        """Probabilities (N, T, 4) after every frame, or (N, 1, 4) where it answers for clips."""
        detector, found = self._detector, []
        stream = detector.stream(1) if detector.can_stream else None
        for some in clips.batches(self._batch_size):
            frames, sounds = clips.frames[some], clips.sounds[some]
            if stream is None:
                found.append(detector.predict(frames, sounds)[:, None])
                continue
            after = stream.last_clips(np.concatenate(frames)[None], np.concatenate(sounds)[None])
            found.append(after.reshape(*frames.shape[:2], -1))
        answers = np.concatenate(found)
        scores.check(clips.table["clip_id"].to_pylist(), answers)
        return answers

    def _known(self, given: ListingRow, made: Canonical, clips: DecodedClips) -> Row:
        """Return what is known of a file without a detector."""
        return {
            "id": given.id,
            "uri": given.uri,
            "status": rows.SCORED,
            "sha256": made.sha256,
            "seconds": made.duration_s,
            "pdq": [
                bytes.fromhex(one.pdq)
                for one in made.frame_prints
                if not one.after_cut and one.quality >= MIN_QUALITY
            ],
            "width": made.width,
            "height": made.height,
            "loudness": levels.loudness(clips.sounds),
            "brightness": levels.brightness(clips.frames),
            "marks": rows.marks_of(made.marks),
        }


def _index(task: FileTask) -> IndexRow:
    return IndexRow(task.path, "real", _PLACE, False, "")


def why_not(given: ListingRow, task: FileTask, made: Canonical | Unusable, step: str) -> Row | None:
    """The row of a file of which nothing can be told; None where something can.

    Args:
        given: the row of the listing.
        task: how it was decoded.
        made: what became of it.
        step: that it was decoded for.
    """
    listed = ListedFile(Collection(_PLACE, task.root, 1), _index(task), task)
    reject = account.why_not(listed, made)
    if reject is not None or not isinstance(made, Canonical):
        assert reject is not None
        sha256 = made.sha256 if isinstance(made, Canonical) else ""
        return rows.rejected(given, Unusable(reject.reason, reject.detail), step, sha256)
    return None


class DecodedClips:
    """The clips of a file, decoded, as `scores.predict` takes them."""

    def __init__(self, windows: Sequence[Window], task: FileTask, form: ClipFormat) -> None:
        self.clip_s = form.num_frames / form.fps
        self.frames = np.stack([video.decode(window.mp4) for window in windows])
        length = sound.num_samples(form.num_frames, form.fps)
        self.sounds = np.zeros((len(windows), length), np.int16)
        for number, window in enumerate(windows):
            if window.flac:
                self.sounds[number] = sound.decode(window.flac)
        self.start_s = np.array([window.start_frame / form.fps for window in windows])
        """(N,) the second of the file at which each clip begins."""
        self._path = task.path

    @cached_property
    def table(self) -> pa.Table:
        """Rows of `scores.CLIP_SCHEMA`."""
        return _table(self._path, self.start_s.tolist())

    def batches(self, size: int) -> Iterator[slice]:
        """The clips in order, `size` at a time."""
        for start in range(0, len(self.frames), size):
            yield slice(start, start + size)

    def moments(
        self,
        in_streams: NDArray[np.float64] | None,
        p_discharge: NDArray[np.float64],
        heard: NDArray[np.float64],
    ) -> list[dict[str, Any]]:
        """The clips that matter most and do not overlap, as `rows.MOMENT` has them."""
        first = p_discharge if in_streams is None else in_streams
        order = sorted(
            range(len(first)), key=lambda n: (-first[n], -p_discharge[n], self.start_s[n])
        )
        found: list[dict[str, Any]] = []
        for number in order:
            start_s = float(self.start_s[number])
            # Clips end and begin at sums of floats.
            if all(abs(start_s - one["start_s"]) > self.clip_s - 1e-6 for one in found):
                found.append(
                    {
                        "start_s": start_s,
                        "end_s": start_s + self.clip_s,
                        "score": None if in_streams is None else float(in_streams[number]),
                        "p_discharge": float(p_discharge[number]),
                        "heard": bool(heard[number] > 0),
                    }
                )
            if len(found) == rows.MOST_MOMENTS:
                break
        return found


def _table(path: str, starts_s: Sequence[float]) -> pa.Table:
    """Rows of `scores.CLIP_SCHEMA` of clips of which nobody says what they are."""
    unlabelled = [
        {
            "sample_id": f"{number:08d}",
            "clip_id": f"{number:08d}",
            "path": path,
            "collection": _PLACE,
            "source": _PLACE,
            "origin": "real",
            "recording": path,
            "start_s": start_s,
            "licence": "",
            "authority": "",
            "rendered": False,
        }
        for number, start_s in enumerate(starts_s)
    ]
    return pa.Table.from_pylist(unlabelled, schema=scores.CLIP_SCHEMA)
