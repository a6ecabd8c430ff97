"""Turn footage collections into canonical clips, and account for every file."""

from __future__ import annotations

from pathlib import Path

from pipeline.config import IngestApp
from pipeline.footage.bank_search import Known
from pipeline.footage.ingestion import ingest
from pipeline.footage.links import find_collections
from pipeline.footage.tombstones import forgotten


def run(cfg: IngestApp) -> None:
    """Ingest the synthetic collections, those under `paths.footage` and `collections`."""
    paths = cfg.paths
    roots = [
        *map(str, find_collections(Path(paths.synthetic))),
        *map(str, find_collections(Path(paths.footage))),
        *cfg.collections,
    ]
    work = Path(paths.work)
    known = Known.open(cfg.banks, Path(paths.banks), work)
    tombstones = forgotten(Path(paths.footage))
    ingest(roots, paths.clips, cfg, work, cfg.run, tombstones, known=known)
