"""Clips that a detector is asked about: packed samples, or the canonical clips of a collection."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.detect import scores
from pipeline.detect.answers import Answers
from pipeline.detect.detector import Detector
from pipeline.detect.side_by_side import side_by_side
from pipeline.detect.stream_scores import files_of, stream_scores
from pipeline.store import sound, video
from pipeline.store.manifest import CLASSES, Clip, read_format, read_manifest
from pipeline.store.packed_samples import Packed, Sample
from pipeline.store.shards import read_clip, read_flac

_AT_ONCE = 4
"""Clips of a file that a stream takes together: more cost hardly less a clip."""


@dataclass(frozen=True)
class Clips:
    """N clips, and how they are had."""

    table: pa.Table
    """Rows of `scores.CLIP_SCHEMA`."""
    read: scores.Read
    """Gives what is seen and heard in a row."""
    samples: Sequence[str]
    """Hash of what each row is decoded from."""
    marks: Sequence[str] = ()
    """What is odd about each, as the manifest has it; empty where nothing is."""


def of_packed(packed: Packed, rows: NDArray) -> Clips:
    """Some of the packed samples, by their row numbers."""
    index = packed.index.take(rows)
    return Clips(
        index.select(scores.CLIP_SCHEMA.names),
        lambda number: packed.read(int(rows[number])),
        [
            _joined(*own)
            for own in zip(
                index["sha256"].to_pylist(), index["sound_sha256"].to_pylist(), strict=True
            )
        ],
    )


def of_ingested(folder: Path) -> Clips:
    """The canonical clips that ingest wrote into a folder."""
    manifest = read_manifest(folder)
    form = read_format(folder)
    silence = np.zeros(sound.num_samples(form.num_frames, form.fps), np.int16)

    def read(number: int) -> Sample:
        clip = manifest[number]
        heard = sound.read_sound(folder, clip)
        frames = video.decode(read_clip(folder, clip))
        return Sample(frames, silence if heard is None else heard, clip.sound)

    return Clips(
        scores.clip_table(manifest),
        read,
        [_joined(clip.pixels_sha256, _sound_sha256(folder, clip)) for clip in manifest],
        [clip.marks for clip in manifest],
    )


def _sound_sha256(folder: Path, clip: Clip) -> str | None:
    return hashlib.sha256(read_flac(folder, clip)).hexdigest() if clip.sound_size else None


def _joined(pictures: str, heard: str | None) -> str:
    """What a sample is known by: the hash of its pictures and, where it has any, of its sound."""
    return pictures if heard is None else f"{pictures} {heard}"


def open_packed(detector: Detector, root: str, work: Path, cache_gb: float) -> Packed:
    """Open packed samples, which must be such as the weights were trained on.

    Raises:
        UserError: they are not there, damaged, or of another format.
    """
    packed = Packed.open(root, work, cache_gb)
    detector.check_format(packed.root, packed.format)
    return packed


def open_ingested(detector: Detector, folder: Path) -> Clips:
    """Open canonical clips, which must be such as the weights were trained on.

    Raises:
        UserError: they are of another format.
    """
    detector.check_format(str(folder), read_format(folder))
    return of_ingested(folder)


def score(
    detector: Detector,
    clips: Clips,
    *,
    batch_size: int,
    answers: Answers | None = None,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
    workers: int = 1,
) -> tuple[pa.Table, str]:
    """Ask a detector about clips.

    Args:
        detector: the weights.
        clips: of their format.
        batch_size: clips that are asked about at a time.
        answers: what the detector said before; nothing by default.
        progress: wraps the starts of the batches, to show how far the work is.
        workers: batches that are asked about at once, in threads.

    Returns:
        Rows of `scores.SCORE_SCHEMA`, and the hash of all labels and pixels.

    Raises:
        UserError: the weights say something that is no probability.
    """
    probabilities, digest = scores.predict(
        clips.table,
        clips.read,
        detector.predict,
        batch_size=batch_size,
        progress=progress,
        samples=clips.samples,
        answers=answers,
        workers=workers,
    )
    return _table(detector, clips, probabilities[:, None]), digest


def play(
    detector: Detector,
    clips: Clips,
    *,
    answers: Answers | None = None,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
    workers: int = 1,
) -> tuple[pa.Table, str]:
    """Let a detector that can stream follow every file frame by frame.

    Args:
        detector: the weights.
        clips: of their format; what lies between two of a file is passed over.
        answers: what the detector said before; nothing by default.
        progress: wraps the numbers of the files, to show how far the work is.
        workers: files that are followed at once, in threads.

    Returns:
        Rows of `scores.SCORE_SCHEMA`, with what is said of the last clip at the end of each, and
        the highest score of a stream at any of its frames; and the hash of the files' hashes of all
        labels and pixels.

    Raises:
        UserError: the weights say something that is no probability.
    """
    answers, labels = answers or Answers(), clips.table.to_pylist()
    of_all = ["streams", labels, list(clips.samples)] if clips.samples else []
    known = answers.get(of_all)
    form = detector.card.clip
    found = np.zeros((clips.table.num_rows, form.num_frames, len(CLASSES)))
    files, digests, one_reads = files_of(clips.table), hashlib.sha256(), threading.Lock()

    def follow(rows: list[int], asked: Sequence[str], is_known: bool) -> bytes:
        """Have a file followed, unless what is asked is known, and hash what it holds."""
        stream, digest = None if is_known else detector.stream(1), hashlib.sha256()
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            with one_reads:
                samples = [clips.read(row) for row in some]
            for row, sample in zip(some, samples, strict=True):
                digest.update(scores.digested(labels[row], sample))
            if stream is not None:
                frames = np.concatenate([sample.frames for sample in samples])
                sound = np.concatenate([sample.sound for sample in samples])
                after = stream.last_clips(frames[None], sound[None])[0]
                found[some] = after.reshape(len(some), form.num_frames, -1)
        if not is_known:
            answers.put(asked, found[rows])
        return digest.digest()

    def jobs() -> Iterator[tuple[int, Callable[[], bytes]]]:
        for number in progress(range(len(files))):
            rows = files[number]
            asked = ["frames", *(clips.samples[row] for row in rows)] if clips.samples else []
            said = answers.get(asked)
            if said is not None:
                found[rows] = said
            # What a killed run left of a file is read again for the hash alone.
            if said is None or known is None:
                yield number, partial(follow, rows.tolist(), asked, said is not None)

    for _, digest in side_by_side(jobs(), workers):
        digests.update(digest)
    if known is None:
        known = np.frombuffer(digests.digest(), np.uint8)
        answers.put(of_all, known)
    scores.check(clips.table["clip_id"].to_pylist(), found)
    return _table(detector, clips, found), known.tobytes().hex()


def _table(detector: Detector, clips: Clips, probabilities: scores.FloatArray) -> pa.Table:
    """Rows of `scores.SCORE_SCHEMA` from what is said at T times of each of N clips, (N, T, 4)."""
    form = detector.card.clip
    clip_s = form.num_frames / form.fps
    in_streams = stream_scores(clips.table, probabilities, detector.card.memory, clip_s)
    return scores.score_table(clips.table, probabilities[:, -1], clips.marks, in_streams)
