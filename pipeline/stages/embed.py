"""Run frozen encoders once over packed samples, so that heads learn from features in seconds."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
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
from pipeline.learn.devices import device_of
from pipeline.learn.encoders.base import Encoder
from pipeline.learn.encoders.views import features_of_views, first_view, num_views
from pipeline.store import executor, features, manifest, workdir
from pipeline.store.features import CARD, INDEX, INDEX_SCHEMA
from pipeline.store.packed import Packed, Samples
from pipeline.store.shards import Extent

log = logging.getLogger(__name__)

_CODE = (
    "stages/embed.py",
    "store/features.py",
    "learn/encoders",
    "learn/hub.py",
    "learn/pixels.py",
)
_FOUND = "features.npy"


@dataclass(frozen=True)
class Block:
    """Samples to embed, and the folder that their features become."""

    samples: Samples
    places: Sequence[Extent]
    pictures: PicturesConfig
    device: str
    folder: Path


def embed_block(block: Block) -> None:
    """Write the features (N, K, F) of the samples of a block, float16, into its folder.

    Raises:
        UserError: some are no numbers in half precision.
    """
    if block.folder.is_dir():
        # By a worker that died before it could say so.
        return
    encoder = _encoder(block.pictures, block.device)
    num_threads = torch.get_num_threads()
    # The order of sums, and so the last bits, would follow the number of cores.
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            found = [
                features_of_views(
                    encoder, _clip(block.samples, place, block.device), block.pictures.every_frames
                )
                for place in block.places
            ]
    finally:
        torch.set_num_threads(num_threads)
    values = torch.cat(found).half().cpu().numpy()
    widths = [part.num_features for part in encoder.each()]
    own = np.split(values, np.cumsum(widths)[:-1], axis=-1)
    for name, features_of_one in zip(_names(block.pictures), own, strict=True):
        if not np.isfinite(features_of_one).all():
            raise UserError(
                f"conf/embed.yaml: name={name}: features that are infinite or no numbers in half "
                "precision; take another encoder"
            )
    with workdir.becoming(block.folder) as partial:
        np.save(partial / _FOUND, values)


def _names(pictures: PicturesConfig) -> list[str]:
    """Of the encoders, in the order of their features."""
    return [pictures.name, *(one.name for one in pictures.more)]


def _clip(samples: Samples, place: Extent, device: str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(samples.read(place)[None])).to(device)


@lru_cache(maxsize=1)
def _loaded(text: str, device: str) -> Encoder:
    return encoders.build(encoders.settings_of(json.loads(text))).to(device)


def _encoder(pictures: PicturesConfig, device: str) -> Encoder:
    return _loaded(json.dumps(asdict(pictures)), device)


def run(cfg: EmbedApp) -> None:
    """Write features in shards, `index.parquet`, `encoder.json` and `stats.json`.

    They are of the samples that heads are fitted to and calibrated on, those of train and val.
    A sample whose bytes were embedded before, with the same encoder, keeps its features; what is
    new is embedded in blocks, and finished ones outlive a kill.

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
    made_by = workdir.key(
        workdir.code_sha256(*_CODE),
        asdict(cfg.pictures),
        encoder.provenance(),
        # How frames are prepared is a part of it.
        encoder.architecture(),
        torch.__version__,
        device,
    )
    card = {
        "architecture": encoder.architecture(),
        "provenance": encoder.provenance(),
        "first_frame": first_view(cfg.pictures.every_frames),
        "pictures": asdict(cfg.pictures),
        "made_by": made_by,
    }
    embedded = [
        *packed.select(["train"], variants=cfg.variants).tolist(),
        *packed.select(["val"], variants=False).tolist(),
    ]
    sha256s = packed.index["sha256"].to_pylist()
    if not embedded:
        raise UserError(
            f"{packed.place}: no clip in train or in val to embed; add recordings, or see "
            "conf/split.yaml"
        )
    earlier = _earlier(Path(paths.features).resolve(), made_by)
    rows = {sha256s[row]: row for row in reversed(embedded)}
    todo = [row for sha256, row in sorted(rows.items()) if sha256 not in earlier]
    finished = workdir.Blocks(work / "embed" / workdir.key(paths.features))
    parts = list(executor.in_blocks(todo, cfg.block_samples))
    names = [workdir.key(made_by, [sha256s[row] for row in part]) for part in parts]
    missing = [number for number, name in enumerate(names) if name not in finished]

    def blocks() -> Iterator[list[Block]]:
        for number in missing:
            places = [packed.at(row) for row in parts[number]]
            folder = finished[names[number]].resolve()
            yield [Block(packed.samples, places, cfg.pictures, device, folder)]

    results = executor.map_blocks(
        embed_block, blocks(), cfg.run, title="embed", num_items=len(missing)
    )
    for (lost,) in results:
        if isinstance(lost, executor.Lost):
            raise UserError(f"embed: {lost.detail}; run it again")
    for part, name in zip(parts, names, strict=True):
        earlier.update((sha256s[row], (finished[name] / _FOUND, at)) for at, row in enumerate(part))
    with workdir.replacing(Path(paths.features), work, workdir.OUTPUTS["embed"]) as fresh:
        card["shards"] = _assemble(fresh, packed, embedded, earlier, cfg.shard_samples)
        (fresh / CARD).write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")
        manifest.write_stats(fresh, {"samples": {"embedded": len(embedded)}})
    finished.clear()
    log.info("embed: %d samples, %d of them new", len(embedded), len(todo))


def _earlier(folder: Path, made_by: str) -> dict[str, tuple[Path, int]]:
    """By hash of a sample, where an earlier run left its features; empty if it made others."""
    try:
        card = features.read_card(folder)
        if card.get("made_by") != made_by:
            return {}
        table = features.read_table(folder)
    except UserError:
        return {}
    found: dict[str, tuple[Path, int]] = {}
    names = table["shard"].to_numpy(zero_copy_only=False)
    for name in dict.fromkeys(names.tolist()):
        own = table.filter(names == name)
        path, rows = folder / name, own["row"].to_pylist()
        try:
            features.read_shard(path, max(rows) + 1, card["shards"].get(name))
        except UserError:
            # What is damaged is embedded again.
            continue
        places = ((path, row) for row in rows)
        found.update(zip(own["sha256"].to_pylist(), places, strict=True))
    return found


def _assemble(
    fresh: Path,
    packed: Packed,
    embedded: Sequence[int],
    found: Mapping[str, tuple[Path, int]],
    shard_samples: int,
) -> dict[str, str]:
    """Write features in the order of `embedded`, rows of the packed index, a shard at a time.

    Returns:
        The SHA-256 of each shard by its name.
    """
    ids, sha256s = packed.index["sample_id"].to_pylist(), packed.index["sha256"].to_pylist()
    rows, hashes = [], {}
    for number, part in enumerate(executor.in_blocks(embedded, shard_samples)):
        name = f"features-{number:05d}.npy"
        opened: dict[Path, NDArray[np.float16]] = {}
        values = []
        for at, row in enumerate(part):
            path, place = found[sha256s[row]]
            if path not in opened:
                opened[path] = np.load(path, mmap_mode="r", allow_pickle=False)
            values.append(opened[path][place])
            rows.append({"sample_id": ids[row], "sha256": sha256s[row], "shard": name, "row": at})
        np.save(fresh / name, np.stack(values))
        hashes[name] = workdir.file_sha256(fresh / name)
    pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), fresh / INDEX)
    return hashes
