"""Run frozen encoders once over packed samples, so that heads learn from features in seconds."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from pipeline.config import EmbedApp, PicturesConfig
from pipeline.errors import UserError
from pipeline.learn import encoders
from pipeline.learn.devices import device_of, one_thread
from pipeline.learn.encoders.base import Encoder
from pipeline.learn.encoders.views import features_of_views, first_view, num_views
from pipeline.store import executor, manifest, workdir
from pipeline.store.features import CARD, INDEX, INDEX_SCHEMA
from pipeline.store.kept import Kept, Piece, made_by, name_of
from pipeline.store.packed import Members, Packed, Samples
from pipeline.store.reuse import Pieces

log = logging.getLogger(__name__)

_CODE = (
    "stages/embed.py",
    "store/features.py",
    "learn/devices.py",
    "learn/encoders",
    "learn/hub.py",
    "learn/pixels.py",
)
_LIBRARIES = ("numpy", "torch", "transformers")


@dataclass(frozen=True)
class Task:
    """One sample to embed."""

    samples: Samples
    members: Members
    pictures: PicturesConfig
    device: str


def make_piece(task: Task) -> Piece:
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


def _names(pictures: PicturesConfig) -> list[str]:
    """Of the encoders, in the order of their features."""
    return [pictures.name, *(one.name for one in pictures.more)]


@lru_cache(maxsize=1)
def _loaded(text: str, device: str) -> Encoder:
    return encoders.build(encoders.settings_of(json.loads(text))).to(device)


def _encoder(pictures: PicturesConfig, device: str) -> Encoder:
    return _loaded(json.dumps(asdict(pictures)), device)


def run(cfg: EmbedApp) -> None:
    """Write features in shards, `index.parquet`, `encoder.json` and `stats.json`.

    They are of the samples that heads are fitted to and calibrated on, those of train and val.
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
                f"conf/embed.yaml: name={asked}: an encoder of sound, and samples hold pictures "
                "alone; take one of pictures or of video"
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
    ]
    sha256s = packed.index["sha256"].to_pylist()
    if not embedded:
        raise UserError(
            f"{packed.root}: no clip in train or in val to embed; add recordings, or see "
            "conf/split.yaml"
        )
    made_of = [made_by(_CODE, _LIBRARIES), card, device]
    names = [name_of(sha256s[row], made_of) for row in embedded]

    def tasks() -> Iterator[Task]:
        return (Task(packed.samples, packed.at(row), cfg.pictures, device) for row in embedded)

    with Kept(work, "embed") as kept:
        pieces = Pieces(kept, names, tasks, make_piece, cfg.run, "embed")
        num_new = pieces.make(cfg.block_samples)
        with workdir.replacing(Path(paths.features), work, workdir.OUTPUTS["embed"]) as fresh:
            found = (piece.array() for _, piece in pieces.read())
            shards = _assemble(fresh, packed, zip(embedded, found, strict=True), cfg.shard_samples)
            told = card | {"shards": shards}
            (fresh / CARD).write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")
            manifest.write_stats(fresh, {"samples": {"embedded": len(embedded)}})
        kept.trim(cfg.run.keep_gb)
    log.info("embed: %d samples, %d of them new", len(embedded), num_new)


def _assemble(
    fresh: Path,
    packed: Packed,
    embedded: Iterable[tuple[int, NDArray[np.float16]]],
    shard_samples: int,
) -> dict[str, str]:
    """Write the features of rows of the packed index in their order, a shard at a time.

    Returns:
        The SHA-256 of each shard by its name.
    """
    ids, sha256s = packed.index["sample_id"].to_pylist(), packed.index["sha256"].to_pylist()
    rows, hashes = [], {}
    for number, part in enumerate(executor.in_blocks(embedded, shard_samples)):
        name = f"features-{number:05d}.npy"
        rows += [
            {"sample_id": ids[row], "sha256": sha256s[row], "shard": name, "row": at}
            for at, (row, _) in enumerate(part)
        ]
        np.save(fresh / name, np.stack([values for _, values in part]))
        hashes[name] = workdir.file_sha256(fresh / name)
    pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), fresh / INDEX)
    return hashes
