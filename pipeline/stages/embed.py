"""Run frozen encoders once over packed samples, so that heads learn from features in seconds."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from pipeline.config import EmbedApp, PicturesConfig
from pipeline.errors import UserError
from pipeline.learn import encoders
from pipeline.learn.devices import device_of, one_thread
from pipeline.learn.encoders.base import Encoder, SoundEncoder
from pipeline.learn.encoders.views import features_of_views, first_view, num_views
from pipeline.learn.encoders.waves import Resampler, check_every, features_of_sounds
from pipeline.store import executor, manifest, workdir
from pipeline.store.features import INDEX_SCHEMA, PICTURES, SOUND, FeatureFiles
from pipeline.store.finished_work import FinishedWork, Piece, made_by, name_of
from pipeline.store.packed_samples import Members, Packed, Samples
from pipeline.store.reuse import Pieces
from pipeline.store.shards import Extent

log = logging.getLogger(__name__)

AnyTask = TypeVar("AnyTask")
_CODE = (
    "stages/embed.py",
    "store/features.py",
    "learn/devices.py",
    "learn/encoders",
    "learn/hub.py",
    "learn/pixels.py",
    "store/pcm.py",
    "store/sound.py",
)
_LIBRARIES = ("numpy", "scipy", "torch", "transformers")


@dataclass(frozen=True)
class EmbedTask:
    """One sample to embed."""

    samples: Samples
    members: Members
    pictures: PicturesConfig
    device: str


@dataclass(frozen=True)
class SoundTask:
    """The sound of one sample to embed."""

    samples: Samples
    sound: Extent
    name: str
    device: str


def make_piece(task: EmbedTask) -> Piece:
    """Embed a sample: its features (K, F), float16, as a piece to keep.

    Raises:
        UserError: some are no numbers in half precision.
    """
    encoder = _encoder(task.pictures, task.device)
    clip = torch.from_numpy(task.samples.read(task.members).frames[None])
    with one_thread(), torch.inference_mode():
        found = features_of_views(encoder, clip.to(task.device), task.pictures.every_frames)
    values = found[0].half().cpu().numpy()
    widths = [part.num_features for part in encoder.each()]
    own = np.split(values, np.cumsum(widths)[:-1], axis=-1)
    for name, features_of_one in zip(_names(task.pictures), own, strict=True):
        if not np.isfinite(features_of_one).all():
            raise UserError(
                f"conf/embed.yaml: name={name}: features that are infinite or no numbers in half "
                "precision; take another encoder"
            )
    return Piece.of_array(values)


def make_sound_piece(task: SoundTask) -> Piece:
    """Embed the sound of a sample: its features (1, F), float16, as a piece to keep."""
    encoder, resample = _hearing(task.name, task.device)
    sounds = torch.from_numpy(task.samples.read_sound(task.sound)[None])
    with one_thread(), torch.inference_mode():
        found = features_of_sounds(encoder, resample, sounds.to(task.device))
    return Piece.of_array(found.half().cpu().numpy())


@lru_cache(maxsize=1)
def _hearing(name: str, device: str) -> tuple[SoundEncoder, Resampler]:
    encoder = encoders.build_sound(name).to(device)
    return encoder, Resampler(encoder.rate_hz).to(device)


def _names(pictures: PicturesConfig) -> list[str]:
    """Names of the encoders, in the order of their features."""
    return [pictures.name, *(one.name for one in pictures.more)]


@lru_cache(maxsize=1)
def _loaded(text: str, device: str) -> Encoder:
    return encoders.build(encoders.settings_of(json.loads(text))).to(device)


def _encoder(pictures: PicturesConfig, device: str) -> Encoder:
    return _loaded(json.dumps(asdict(pictures)), device)


def run(cfg: EmbedApp) -> None:
    """Write features in shards, `index.parquet`, `encoder.json` and `stats.json`.

    And, of the samples that have sound, `sounds-…`, `sound.parquet` and `sound.json`. They are of
    the samples that heads are fitted to and calibrated on, those of train and val.
    Features are kept by the bytes of the sample, the encoder and the code, so that a later run, or
    one that goes on after a kill, embeds what is new alone.

    Raises:
        UserError: no such encoder, or it does not fit the samples.
    """
    paths, work = cfg.paths, Path(cfg.paths.work)
    packed = Packed.open(paths.packed, work, cfg.run.cache_gb)
    if cfg.pictures.name == encoders.NONE:
        if beside := _names(cfg.pictures)[1:]:
            raise UserError(
                f"conf/embed.yaml: pictures.name={encoders.NONE}, but pictures.more has "
                f"{', '.join(beside)}; set pictures.name={beside[0]}, or pictures.more=[]"
            )
        with workdir.replacing(Path(paths.features), work, workdir.OUTPUTS["embed"]) as fresh:
            manifest.write_stats(fresh, {"samples": {}})
        log.info("embed: conf/embed.yaml: pictures.name=none, so there is nothing to do")
        return
    device = device_of(cfg.run)
    encoder = _encoder(cfg.pictures, device)
    for one, asked in zip(encoder.each(), _names(cfg.pictures), strict=True):
        if one.modality == "sound":
            raise UserError(
                f"conf/embed.yaml: name={asked}: an encoder of sound, and frames are what it would "
                "be shown; give it as sound.name, and here one of pictures or of video"
            )
    # Raises where the two do not fit, before hours of work.
    num_views(encoder, packed.format.num_frames, cfg.pictures.every_frames)
    card = {
        "architecture": encoder.architecture(),
        "provenance": encoder.provenance(),
        "first_frame": first_view(cfg.pictures.every_frames),
        "pictures": asdict(cfg.pictures),
    }
    embedded = [
        *packed.select(["train"], variants=cfg.variants).tolist(),
        *packed.select(["val"], variants=False).tolist(),
        *packed.bags().tolist(),
    ]
    if not embedded:
        raise UserError(
            f"{packed.root}: no clip in train or in val to embed; add recordings, or see "
            "conf/split.yaml"
        )

    def tasks() -> Iterator[EmbedTask]:
        return (EmbedTask(packed.samples, packed.at(row), cfg.pictures, device) for row in embedded)

    pictures = _Wanted(PICTURES, card, card, embedded, tasks, make_piece)
    sounds = _sounds(cfg, packed, embedded, device)
    wanted: list[_Wanted[Any]] = [pictures]
    counts = {"embedded": len(embedded)}
    if sounds is not None:
        wanted.append(sounds)
        counts["sounds"] = len(sounds.rows)
    with FinishedWork(work, "embed") as kept:
        made = [kind.pieces(kept, packed, cfg, device) for kind in wanted]
        num_new = [pieces.make(cfg.block_samples) for pieces in made]
        with workdir.replacing(Path(paths.features), work, workdir.OUTPUTS["embed"]) as fresh:
            for kind, pieces in zip(wanted, made, strict=True):
                if kind.rows:
                    found = (piece.array() for _, piece in pieces.read())
                    kind.write(fresh, packed, found, cfg.shard_samples)
            manifest.write_stats(fresh, {"samples": counts})
        kept.trim(cfg.run.keep_gb)
    log.info("embed: %d samples, %d of them new", len(embedded), num_new[0])
    if sounds is not None:
        log.info("embed: %d sounds, %d of them new", len(sounds.rows), num_new[1])


def _sounds(cfg: EmbedApp, packed: Packed, rows: list[int], device: str) -> _Wanted | None:
    """Return what is to be embedded of the sounds of some rows; None where no encoder hears them.

    Raises:
        UserError: no such encoder, or it does not fit the samples.
    """
    if cfg.sound.name == encoders.NONE:
        return None
    encoder, _ = _hearing(cfg.sound.name, device)
    check_every(cfg.sound.every_frames, packed.format.num_frames)
    places = {row: packed.at(row).sound for row in rows}
    sounds = {row: place for row, place in places.items() if place is not None}

    def tasks() -> Iterator[SoundTask]:
        return (
            SoundTask(packed.samples, place, cfg.sound.name, device) for place in sounds.values()
        )

    made_of = {"architecture": encoder.architecture(), "provenance": encoder.provenance()}
    card = made_of | {"sound": asdict(cfg.sound)}
    return _Wanted(SOUND, card, made_of, list(sounds), tasks, make_sound_piece)


@dataclass(frozen=True)
class _Wanted(Generic[AnyTask]):
    """Features of one kind that are to be made and written."""

    kind: FeatureFiles
    card: dict[str, Any]
    """What is written of the encoder and of its settings."""
    made_of: dict[str, Any]
    """What of that decides the features."""
    rows: list[int]
    """Rows of the packed index."""
    tasks: Callable[[], Iterator[AnyTask]]
    """Makes the tasks, one a row."""
    work: Callable[[AnyTask], Piece]

    def pieces(
        self, kept: FinishedWork, packed: Packed, cfg: EmbedApp, device: str
    ) -> Pieces[AnyTask]:
        """The features, kept by the bytes of the sample, the encoder and the code."""
        sha256s = packed.index[self.kind.sha256].to_pylist()
        made_of = [made_by(_CODE, _LIBRARIES), self.made_of, device]
        names = [name_of(sha256s[row], made_of) for row in self.rows]
        return Pieces(kept, names, self.tasks, self.work, cfg.run, "embed")

    def write(
        self,
        fresh: Path,
        packed: Packed,
        found: Iterator[NDArray[np.float16]],
        shard_samples: int,
    ) -> None:
        """Write shards, index and card."""
        embedded = zip(self.rows, found, strict=True)
        shards = _assemble(fresh, packed, self.kind, embedded, shard_samples)
        told = self.card | {"shards": shards}
        (fresh / self.kind.card).write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")


def _assemble(
    fresh: Path,
    packed: Packed,
    kind: FeatureFiles,
    embedded: Iterable[tuple[int, NDArray[np.float16]]],
    shard_samples: int,
) -> dict[str, str]:
    """Write the features of rows of the packed index in their order, a shard at a time.

    Returns:
        The SHA-256 of each shard by its name.
    """
    ids, sha256s = packed.index["sample_id"].to_pylist(), packed.index[kind.sha256].to_pylist()
    rows, hashes = [], {}
    for number, part in enumerate(executor.in_blocks(embedded, shard_samples)):
        name = f"{kind.shards}-{number:05d}.npy"
        rows += [
            {"sample_id": ids[row], "sha256": sha256s[row], "shard": name, "row": at}
            for at, (row, _) in enumerate(part)
        ]
        np.save(fresh / name, np.stack([values for _, values in part]))
        hashes[name] = workdir.file_sha256(fresh / name)
    pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), fresh / kind.index)
    return hashes
