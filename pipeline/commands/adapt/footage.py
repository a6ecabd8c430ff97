"""The clips of a team's own collection, and what the encoder of a detector sees of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.config import AdaptApp, Run, TrainApp
from pipeline.detect.detector import Detector
from pipeline.detect.overlap import known_files
from pipeline.errors import UserError
from pipeline.footage.bank_search import Known
from pipeline.footage.collection import IndexRow, read_index
from pipeline.footage.ingestion import ingest
from pipeline.footage.tombstones import forgotten
from pipeline.learn.data import origin_weight
from pipeline.learn.devices import device_of, one_thread
from pipeline.learn.encoders.views import features_of_views
from pipeline.learn.networks.origin import OriginNet
from pipeline.learn.origin import OriginExamples, seen
from pipeline.store import manifest, storage, video
from pipeline.store.finished_work import FinishedWork, Piece, made_by, name_of
from pipeline.store.manifest import (
    IS_REAL,
    Clip,
    Reject,
    class_index,
    read_manifest,
    read_rejects,
)
from pipeline.store.packed_samples import Packed
from pipeline.store.shards import read_clip
from pipeline.system import interrupts

log = logging.getLogger(__name__)

_CODE = ("learn/encoders", "learn/hub.py", "learn/pixels.py", "commands/adapt/footage.py")
_LIBRARIES = ("av", "decord", "numpy", "torch", "transformers")
_KEPT = (
    "earlier weights are as they were, and what was decoded and seen of the collection is kept; "
    "run it again, which goes on from there"
)


@dataclass(frozen=True)
class CollectionClips:
    """Holds what is learned from a collection: clips that training lacks, at most so many a file.

    A file is a row of the index of which clips are learned from; files are numbered in that order.
    """

    name: str
    files: Sequence[IndexRow]
    clips: Sequence[Clip]
    """In the order of the files."""
    file_of: NDArray[np.int64]
    """(N,): of every clip, the number of its file."""
    examples: OriginExamples
    """Examples of the clips, in the same order."""
    rejects: Sequence[Reject]
    num_rendered: int
    """Files that a computer rendered: of `files`, or left out where these count nothing."""
    known: Sequence[str]
    """Paths of files that are left out because they are among the samples of training."""

    @property
    def sources(self) -> NDArray[np.str_]:
        """(F,) texts, one a file."""
        return np.array([file.source for file in self.files], np.str_)

    @property
    def origins(self) -> NDArray[np.str_]:
        """(F,) texts, one a file."""
        return np.array([file.origin for file in self.files], np.str_)

    def by_file(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean over the clips of each file: (N,) to (F,)."""
        totals = np.bincount(self.file_of, log_odds, len(self.files))
        return np.asarray(totals / np.bincount(self.file_of, minlength=len(self.files)))


def read(
    cfg: AdaptApp,
    settings: TrainApp,
    detector: Detector,
    origin: OriginNet,
    collection: str,
    packed: Packed,
) -> CollectionClips:
    """Ingest a collection as an evaluation does, and see its clips.

    Clips and features are kept in `paths.work`, so that a second run is a matter of seconds.

    Args:
        cfg: how.
        settings: those that the detector was trained with; they say what rendered clips count.
        detector: whose format of clips is taken.
        origin: that of the detector.
        collection: a folder or a URL.
        packed: the samples that the detector was trained on.

    Raises:
        UserError: no collection there, or nothing of it can be learned from: none of its files
            became a clip, all count nothing because they were rendered, or all are among the
            samples; or one video is labelled real in one file and fictional in another.
    """
    work = Path(cfg.paths.work)
    interrupts.keeps(_KEPT)
    with storage.fetched_index(collection, work) as folder:
        index = read_index(folder)
    clips_folder = _ingested(cfg, detector, collection, work)
    if all(origin_weight(row.rendered, settings) == 0 for row in index):
        raise UserError(
            f"{collection}: all of its files say in the column rendered that they were, "
            f"which count nothing for the origin in {cfg.paths.models} (rendered_weight.origin=0); "
            "add files of real cameras, games or films"
        )
    found = read_manifest(clips_folder)
    counted = [clip for clip in found if origin_weight(clip.rendered, settings) > 0]
    _compare(collection, counted)
    if not counted:
        raise UserError(
            f"{collection}: no file that counts for the origin became a clip; see "
            f"{clips_folder / manifest.REJECTS}"
        )
    known = known_files(counted, clips_folder, packed, cfg.run.num_workers)
    chosen = _spread((clip for clip in counted if clip.path not in known), cfg.clips_per_file)
    if not chosen:
        raise UserError(
            f"{collection}: all that can be learned from is among the samples in "
            f"{cfg.paths.packed} already; add files that the detector was not trained on"
        )
    files = [row for row in index if row.path in chosen]
    clips = [clip for row in files for clip in chosen[row.path]]
    views = _see(detector, origin, clips, clips_folder, work, cfg.run)
    # Where they count nothing, none is among the files.
    shown = files if settings.rendered_weight.origin else index
    return CollectionClips(
        name=storage.name(collection),
        files=files,
        clips=clips,
        file_of=np.repeat(np.arange(len(files)), [len(chosen[row.path]) for row in files]),
        examples=OriginExamples(
            values=seen(views),
            is_real=np.array([_is_real(clip) for clip in clips]),
            sources=np.array([clip.source for clip in clips], np.str_),
            weights=cfg.weight
            * np.array([origin_weight(clip.rendered, settings) for clip in clips]),
        ),
        rejects=list(read_rejects(clips_folder)),
        num_rendered=sum(row.rendered for row in shown),
        known=sorted(known),
    )


def _is_real(clip: Clip) -> bool:
    return IS_REAL[class_index(clip.origin, False)]


def _compare(collection: str, clips: Sequence[Clip]) -> None:
    """Refuse one video under two answers, and warn of one under two sources."""
    shown: dict[str, set[str]] = {}
    for clip in clips:
        shown.setdefault(clip.path, set()).add(clip.pixels_sha256)
    first = {clip.path: clip for clip in reversed(clips)}
    earlier: dict[frozenset[str], Clip] = {}
    for path, pixels in shown.items():
        own, other = first[path], earlier.setdefault(frozenset(pixels), first[path])
        if _is_real(own) != _is_real(other):
            raise UserError(
                f"{collection}: {other.path} and {path} show the same pictures, but one is "
                f"labelled {other.origin} and the other {own.origin}; correct index.csv"
            )
        if own.source != other.source:
            log.warning(
                "adapt: %s and %s show the same pictures, from source %s and from %s: what is left "
                "out of one is learned from in the other, and numbers come out too good; give them "
                "one source",
                *(other.path, path, other.source, own.source),
            )


def _ingested(cfg: AdaptApp, detector: Detector, collection: str, work: Path) -> Path:
    """The folder with the clips of a collection; decodes what is new alone."""
    # A file that cannot be read is a line of the report, however many there are.
    settings = replace(cfg.ingest, clip=detector.card.clip, max_reject_rate=1.0, collections=[])
    tombstones = forgotten(Path(cfg.paths.footage))
    folder = storage.own_folder(work / "adapt" / "collections", collection) / "clips"
    # What a player shows is what the detector will be asked about, however short or damaged.
    known = Known.open(settings.banks, Path(cfg.paths.banks), Path(cfg.paths.work))
    ingest(
        [collection],
        str(folder),
        settings,
        work,
        cfg.run,
        tombstones,
        as_shown=True,
        known=known,
    )
    interrupts.keeps(_KEPT)
    interrupts.resume()
    return folder


def _spread(clips: Iterable[Clip], most: int) -> Mapping[str, Sequence[Clip]]:
    """Choose at most so many clips of each file, spread evenly over it; returned by path."""
    found: dict[str, list[Clip]] = {}
    for clip in clips:
        found.setdefault(clip.path, []).append(clip)
    for path, own in found.items():
        places = np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int)
        found[path] = [own[place] for place in places]
    return found


def _see(
    detector: Detector, origin: OriginNet, clips: Sequence[Clip], folder: Path, work: Path, run: Run
) -> NDArray[np.float16]:
    """Features (N, K, F) of the views of clips, which are kept: each clip is seen once."""
    device = device_of(run)
    made_of = [
        made_by(_CODE, _LIBRARIES),
        device,
        origin.architecture(),
        detector.card.encoder_sha256,
        detector.card.preprocessing,
    ]
    names = [name_of(clip.file_sha256, made_of, clip.pixels_sha256) for clip in clips]
    encoder = origin.encoder.to(device).eval()

    def see(name: str, clip: Clip) -> None:
        frames = torch.from_numpy(video.decode(read_clip(folder, clip))[None]).to(device)
        with torch.inference_mode():
            found = features_of_views(encoder, frames, origin.every_frames)[0].half().cpu().numpy()
        pieces[name] = Piece.of_array(found)
        kept.write(name, pieces[name])

    pool = ThreadPoolExecutor(
        max(1, run.num_workers), initializer=torch.set_num_threads, initargs=(1,)
    )
    with one_thread(), FinishedWork(work, "adapt") as kept:
        try:
            # Asking for it marks it as used.
            read = ((name, kept.read(name)) for name in names if name in kept)
            pieces = {name: piece for name, piece in read if piece is not None}
            todo = {n: clip for n, clip in zip(names, clips, strict=True) if n not in pieces}
            seeing = [pool.submit(see, name, clip) for name, clip in todo.items()]
            shown = tqdm(as_completed(seeing), "see", len(seeing), disable=not run.progress)
            for done in shown:
                done.result()
        finally:
            pool.shutdown(cancel_futures=True)
            encoder.cpu()
        kept.trim(run.keep_gb)
    return np.stack([pieces[name].array() for name in names])
