"""All that decides the scores of a listing, and what is loaded to score with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pipeline.commands.score import cheap_pass
from pipeline.commands.score.cheap_pass import CheapPass, PassThreshold
from pipeline.commands.score.file_access import FileAccess
from pipeline.commands.score.listing import Listing
from pipeline.commands.score.lookup import FileLookups
from pipeline.commands.score.part import PartScoring
from pipeline.commands.score.scorer import FileScorer
from pipeline.config import ScoreApp
from pipeline.copies.banks import Bank
from pipeline.detect import detector, operating_point
from pipeline.detect.alarm import Choice
from pipeline.detect.detector import Detector
from pipeline.detect.operating_point import OperatingPoint
from pipeline.footage import conversion
from pipeline.footage.tombstones import forgotten
from pipeline.learn.devices import device_of
from pipeline.review import score_folder
from pipeline.store import storage, workdir

_CODE = (
    *("commands/score", "copies", "detect", "footage/lookup.py", "footage/printing.py"),
    *("review/levels.py", "review/score_folder.py"),
)
_PATHS = ("models", "reports", "banks", "footage", "work")
_OF_INGEST = ("clip", "stride_frames", "sound", "max_pixels", "max_duration_s", "max_output_mb")
_COSTS = ("max_memory_mb", "max_cpu_s", "timeout_s")
_KEYS = ("rows_per_part", "batch_size", "precision", "allow_private", "hosts", "max_fetch_mb")


@dataclass(frozen=True)
class ScoringSettings:
    """Tells how a listing is scored; a task of a cluster takes it along.

    Attributes:
        cfg: with absolute paths.
        folder: that relative paths of the listing begin from.
        choice: the operating point; None where there is none.
        chosen: the threshold of the cheap pass; None where there is none.
        told: JSON values of what decides numbers, apart from the listing.
        says: what people should know before they wait.
    """

    cfg: ScoreApp
    folder: Path
    choice: Choice | None
    chosen: PassThreshold | None
    told: Mapping[str, Any]
    says: tuple[str, ...]

    @classmethod
    def of(cls, cfg: ScoreApp, folder: Path) -> ScoringSettings:
        """Read what decides the scores.

        Raises:
            UserError: no detector, one for another format of clips, or no such bank.
        """
        paths = {name: getattr(cfg.paths, name) for name in _PATHS}
        local = {n: str(Path(p).resolve()) for n, p in paths.items() if not storage.is_remote(p)}
        cfg = replace(cfg, paths=replace(cfg.paths, **local))
        # A wrong name of one is told before the detector is read.
        opened = FileLookups.open(cfg).banks
        loaded = _load(cfg)
        point = operating_point.read(Path(cfg.paths.reports), loaded.sha256)
        says, chosen = [], None
        if isinstance(point, str):
            says.append(f"no alerts are told: {point}")
        else:
            says.append(point.says)
        if cfg.miss_rate is not None:
            made = cheap_pass.choose(Path(cfg.paths.reports), loaded, point, cfg.miss_rate)
            says.append(f"no cheap pass: {made}" if isinstance(made, str) else made.says)
            chosen = None if isinstance(made, str) else made
        choice = point.choice if isinstance(point, OperatingPoint) else None
        ingest = asdict(cfg.ingest)
        told = {
            "schema": score_folder.VERSION,
            "weights_sha256": loaded.sha256,
            "encoder_sha256": loaded.card.encoder_sha256,
            "device": loaded.device,
            "operating_point": None if choice is None else asdict(choice),
            "cheap_pass": cheap_pass.as_json(chosen),
            "banks": {bank.name: _state(bank) for bank in opened},
            "forgotten": _digest(sorted(forgotten(Path(cfg.paths.footage)).sha256s)),
            "settings": {
                **{name: ingest[name] for name in (*_OF_INGEST, *_COSTS)},
                **{name: getattr(cfg, name) for name in _KEYS},
            },
            "code": [
                workdir.code_sha256(*_CODE, *detector.CODE),
                *conversion.recipe_of(),
            ],
        }
        _READ.clear()
        _READ[_digest(told)] = loaded
        return cls(cfg, folder, choice, chosen, told, tuple(says))

    def made_by(self, listing: Listing) -> dict[str, Any]:
        """Return what the scores of a listing are told by."""
        return {**self.told, **listing.made_by}

    def scoring(self) -> PartScoring:
        """Load what a part is scored with; one for the process, however often it is asked for."""
        # One thread and one batch size are enough for the last bits to be the same.
        torch.set_num_threads(1)
        key = _digest([self.told, str(self.folder), asdict(self.cfg)])
        if key not in _LOADED:
            loaded, cfg = _READ.pop(_digest(self.told), None) or _load(self.cfg), self.cfg
            excluding = None if self.chosen is None else CheapPass(loaded, self.chosen.threshold)
            _LOADED.clear()
            _LOADED[key] = PartScoring(
                FileAccess(self.folder, cfg),
                FileLookups.open(cfg),
                FileScorer(loaded, self.choice, excluding, cfg.batch_size),
                forgotten(Path(cfg.paths.footage)),
            )
        return _LOADED[key]


_READ: dict[str, Detector] = {}
"""The detector that settings were made with in this process, which need not be read again."""
_LOADED: dict[str, PartScoring] = {}


def _load(cfg: ScoreApp) -> Detector:
    loaded = Detector.load(Path(cfg.paths.models), device_of(cfg.run), cfg.factory, cfg.precision)
    loaded.check_format("conf/ingest.yaml", cfg.ingest.clip)
    return loaded


def _state(bank: Bank) -> str:
    items = [
        [item.number, item.sha256, item.md5, item.hashes_sha256, item.sounds_sha256]
        for item in bank.items.values()
    ]
    opinions = [
        [number, by, sorted(verdicts)]
        for number, said in bank.opinions.items()
        for by, verdicts in said.items()
    ]
    return _digest([bank.is_negative, items, sorted(opinions)])


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
