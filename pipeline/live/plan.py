"""Plans how streams are watched, by this process or by one of another machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.config import WatchApp
from pipeline.detect.detector import Detector
from pipeline.footage import foreign
from pipeline.learn.devices import device_of
from pipeline.live.before import Before
from pipeline.live.feed import Feed
from pipeline.live.fetcher import Fetch
from pipeline.live.inbox import Bell, Inbox
from pipeline.live.lookup import Banks, StreamLookup
from pipeline.live.outcomes import Patience
from pipeline.live.recent_hashes import RecentHashes
from pipeline.live.session import SessionSettings
from pipeline.live.shedding import MOST_BEHIND
from pipeline.live.soundness import Soundness
from pipeline.live.watcher import Policy

LONGEST_SESSION_S = 86_400.0
"""A decoder works for so long on a stream, at most; another one goes on then."""


def detector_of(cfg: WatchApp) -> Detector:
    """The detector of a project, as exact as is asked for.

    Raises:
        UserError: there is none, or it cannot be loaded.
    """
    return Detector.load(Path(cfg.paths.models), device_of(cfg.run), cfg.factory, cfg.precision)


@dataclass(frozen=True)
class WatchPlan:
    """Tells how streams are watched.

    Attributes:
        cfg: all keys; its paths are right wherever streams are watched.
        policy: for alerts, and for what is too much.
        speed: at which files are played; None for as fast as they go.
    """

    cfg: WatchApp
    policy: Policy
    speed: float | None

    def anywhere(self) -> WatchPlan:
        """The same, with paths that do not hang on the folder of this process.

        Where it tells of events is left out: that is for this process alone, and may hold secrets.
        """
        paths = self.cfg.paths
        named = {
            name: str(Path(getattr(paths, name)).resolve()) for name in ("models", "banks", "work")
        }
        cfg = replace(self.cfg, paths=replace(paths, **named), webhook=None, kafka=[])
        return replace(self, cfg=cfg)

    def detector(self) -> Detector:
        """Return what answers."""
        return detector_of(self.cfg)

    def banks(self) -> Banks | None:
        """In what streams are looked up; None where that is not asked for."""
        cfg = self.cfg
        if not cfg.banks:
            return None
        return Banks(Path(cfg.paths.banks), cfg.banks, Path(cfg.paths.work))

    def passed(self) -> RecentHashes | None:
        """Return what keeps what streams have shown; None where nothing is looked up in it."""
        cfg = self.cfg
        if not (cfg.banks and cfg.past_hours):
            return None
        return RecentHashes(Path(cfg.paths.work), 3600 * cfg.past_hours)

    def feed(
        self,
        name: str,
        source: Path | Fetch,
        detector: Detector,
        bell: Bell,
        known: Banks | None,
        passed: RecentHashes | None = None,
        before: Before | None = None,
    ) -> Feed:
        """Return what follows a stream, not yet begun."""
        cfg, is_file = self.cfg, isinstance(source, Path)
        longest_s = cfg.ingest.max_duration_s if is_file else LONGEST_SESSION_S
        limits = foreign.DecodingLimits(cfg.ingest.max_pixels, longest_s)
        return Feed(
            name,
            source,
            SessionSettings(
                detector.card.clip, limits, cfg.ingest.max_memory_mb, known is not None
            ),
            Patience(
                cfg.ingest.timeout_s if is_file else cfg.timeout_s,
                cfg.end_after_s,
                None if is_file else MOST_BEHIND * cfg.max_wait_s,
            ),
            Inbox(cfg.max_waiting_clips, bell, drops=not cfg.replay),
            self.speed,
            Soundness(cfg.silent_after_s),
            None
            if known is None
            else StreamLookup(known, None if passed is None else passed.of(name)),
            before,
        )
