"""Says where an evaluation reads from and where its report goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.config import EvaluateApp
from pipeline.store import storage, workdir

_STAGES = (
    *("clips", "splits", "augmented", "packed", "features", "probes", "models", "deployment"),
)

EVALUATED = "evaluate"
"""The folder of the work folder that holds the clips of evaluated collections."""


def local_stages(cfg: EvaluateApp, names: Sequence[str] = _STAGES) -> dict[str, Path]:
    """The folders of what a report is made from; those on a store are not hashed again."""
    roots = {name: str(getattr(cfg.paths, name)) for name in names}
    return {name: Path(root) for name, root in roots.items() if not storage.is_remote(root)}


def collection_report(cfg: EvaluateApp, collection: str) -> Path:
    """Return where the report on a collection goes."""
    home = Path(cfg.paths.collection_reports)
    return storage.own_folder(home, collection, "paths.collection_reports")


def collection_clips(cfg: EvaluateApp, collection: str) -> Path:
    """Return where the clips of a collection are kept for its report."""
    return Path(cfg.paths.work) / EVALUATED / collection_report(cfg, collection).name


def compared_report(cfg: EvaluateApp, against: str, report: Path) -> Path:
    """Return where the report on a comparison goes, by both models and what they are told of."""
    other = against if Path(against).is_dir() else f"git://{against}"
    key = "paths.compared_reports"
    folder = storage.own_folder(Path(cfg.paths.compared_reports), other, key)
    return storage.own_folder(folder, str(Path(cfg.paths.models) / report.name), key)


def report_folder(cfg: EvaluateApp) -> Path:
    """Return where the report that is asked for goes."""
    alone = Path(cfg.paths.reports)
    if cfg.collection is not None:
        alone = collection_report(cfg, cfg.collection)
    return alone if cfg.against is None else compared_report(cfg, cfg.against, alone)


def report_output(cfg: EvaluateApp) -> workdir.Output:
    """Return what the report that is asked for is told by, and the key that names its folder."""
    key = "paths.reports" if cfg.collection is None else "paths.collection_reports"
    key = key if cfg.against is None else "paths.compared_reports"
    return replace(workdir.OUTPUTS["evaluate"], key=key)


def in_charge_of(cfg: EvaluateApp) -> Path:
    """Return what no two evaluations may write at the same time."""
    if cfg.collection is not None:
        return collection_clips(cfg, cfg.collection)
    return report_folder(cfg)
