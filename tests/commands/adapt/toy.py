"""A detector in miniature, and collections to adapt it to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from pipeline.commands import adapt
from pipeline.commands.adapt import footage
from pipeline.config import TrainApp, tracked
from pipeline.footage.collection import IndexRow, write_index
from pipeline.learn import weights
from pipeline.learn.data import PackedData
from pipeline.learn.encoders.base import Encoder
from pipeline.learn.encoders.views import first_view
from pipeline.learn.memory import Memory
from pipeline.learn.networks.flash import FlashNet
from pipeline.learn.networks.product import product_of
from pipeline.learn.origin import fit_origin
from pipeline.store import features, video, workdir
from pipeline.store.packed_samples import INDEX, Packed
from tests.conftest import compose_below
from tests.learn.toy import FORMAT, write_toy

EVERY = 4
PICTURES = {"name": "tiny", "size": 14, "more": [], "every_frames": EVERY}
GREEN, GREY = (60, 160, 60), (110, 110, 110)


class Tiny(Encoder):
    """The mean colour of a frame, in shares of the brightest."""

    modality = "picture"
    num_features = 3
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.full((1,), 1 / 256))

    def forward(self, taken: Tensor) -> Tensor:
        colours: Tensor = taken.float().mean((1, 2)) * self.scale
        return colours

    def architecture(self) -> dict[str, Any]:
        return {"name": "tiny"}

    def provenance(self) -> list[dict[str, str]]:
        return [{"name": "tiny", "origin": "here", "licence": "CC0-1.0", "sha256": "0" * 64}]


def write_detector(folder: Path) -> None:
    """Packed samples, their features, and weights fitted to them: in training, real is reddish."""
    packed = Packed.open(write_toy(folder / "packed"), folder / "work")
    index = packed.index
    ids, sha256s = index["sample_id"].to_pylist(), index["sha256"].to_pylist()
    places = [
        {"sample_id": name, "sha256": sha256, "shard": "features-00000.npy", "row": row}
        for row, (name, sha256) in enumerate(zip(ids, sha256s, strict=True))
    ]
    views = [
        Tiny()(torch.from_numpy(packed.read(row).frames[first_view(EVERY) :: EVERY])).half().numpy()
        for row in range(index.num_rows)
    ]
    there = folder / "features"
    there.mkdir()
    np.save(there / "features-00000.npy", np.stack(views))
    pq.write_table(pa.Table.from_pylist(places, features.INDEX_SCHEMA), there / features.INDEX)
    card = {
        "shards": {"features-00000.npy": workdir.file_sha256(there / "features-00000.npy")},
        "architecture": Tiny().architecture(),
        "provenance": Tiny().provenance(),
        "first_frame": first_view(EVERY),
    }
    (there / features.CARD).write_text(json.dumps(card | {"pictures": PICTURES, "made_by": ""}))

    cfg = compose_below(folder, "train", "rendered_weight.origin=0")
    assert isinstance(cfg, TrainApp)
    data = PackedData(packed, cfg, cfg.run)
    found = features.read(str(there), packed)
    assert found is not None
    origin = fit_origin(data, found, cfg).network
    torch.manual_seed(0)
    pixels = FlashNet(width=8, dropout=0.0, window=FORMAT.num_frames, size=FORMAT.size)
    network = product_of(pixels, origin)
    (folder / "models").mkdir()
    weights.save(
        folder / "models",
        network,
        clip=FORMAT,
        temperature=1.0,
        memory=Memory(answer_s=1.0, origin_s=10.0, lasting=0.5, discharge_s=0.3),
        provenance={
            "config": tracked(cfg),
            "encoders": Tiny().provenance(),
            "data": {"sha256": {INDEX: packed.index_sha256}, "footage": data.footage()},
            "metrics": {"val_origin_auroc": 1.0, "val_auroc": 0.5},
        },
    )


def rows(*origins: str, sources: int = 4, each: int = 1) -> list[IndexRow]:
    return [
        IndexRow(
            path=f"{origin}-{source}-{number}.mp4",
            origin=origin,
            source=f"{origin}-{source}-own",
            discharge=False,
            licence="CC0-1.0",
        )
        for origin in origins
        for source in range(sources)
        for number in range(each)
    ]


def write_own(folder: Path, own: Sequence[IndexRow]) -> Path:
    """Files of two clips in which real is green, which training never saw, and the rest grey."""
    folder.mkdir(parents=True)
    for seed, row in enumerate(own):
        colour = np.array(GREEN if row.origin == "real" else GREY)
        noise = np.random.default_rng(seed).integers(-9, 10, (20, 32, 32, 3))
        # A gradient, so that no picture is blank; a brightness that tells files apart.
        ramp = np.linspace(-40, 40, 32)[None, None, :, None] + seed % 5
        frames = np.clip(colour + ramp + noise, 0, 255).astype(np.uint8)
        (folder / row.path).write_bytes(video.encode(frames, 15))
    write_index(folder, own)
    return folder


def configured(folder: Path, *overrides: str) -> Any:
    # Training is small, and what it says of green and grey is wrong.
    taken = ("ingest.stride_frames=8", "num_draws=2", "weight=3")
    return compose_below(folder, "adapt", *taken, *overrides)


def adapted_to(folder: Path, own: Sequence[IndexRow], *overrides: str) -> Path:
    """The folder of the weights."""
    collection = folder / "own"
    if not collection.exists():
        write_own(collection, own)
    adapt.run(str(collection), cfg=configured(folder, *overrides))
    return folder / "adapted" / "own"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def own_of(*origins: str, sources: int, each: int) -> footage.CollectionClips:
    """A collection of which no clip was seen."""
    files = rows(*origins, sources=sources, each=each)
    return footage.CollectionClips("own", files, [], np.arange(len(files)), None, [], 0, [])  # type: ignore[arg-type]
