"""Puts the detector in front of streams: `discern watch ADDRESS|FILE|LIST.csv`.

Events go to stdout, one a line; words for people go to stderr. Exit status 0 once every stream has
ended, or 1 where none of them could be watched.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

from pipeline.config import WatchApp
from pipeline.detect import operating_point
from pipeline.detect.alarm import Choice
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.live import addresses, event_sinks
from pipeline.live.addresses import Rules
from pipeline.live.alerts import Habits
from pipeline.live.board import Board
from pipeline.live.cluster import Cluster
from pipeline.live.endings import Endings
from pipeline.live.fetcher import Bounds, Fetch
from pipeline.live.inbox import Bell
from pipeline.live.plan import WatchPlan, detector_of
from pipeline.live.roster import Roster
from pipeline.live.scoring import StreamScorer
from pipeline.live.watcher import Policy, Watcher
from pipeline.store import executor
from pipeline.system.command_line import hide

LIST = ".csv"
"""What the name of a list of streams ends with."""
_FASTEST = "max"
_LEFT_OUT = ("weights_sha256",)


def run(what: str, *, cfg: WatchApp) -> None:
    """Watch until every stream has ended.

    Args:
        what: an address, a file that is played, or a list of streams.
        cfg: how.

    Raises:
        UserError: there is no such file, the address is of no scheme that is fetched, settings
            contradict each other, there is no such bank, there is no operating point or no
            detector that can stream, or nothing could be watched.
    """
    # Users of this machine may list its processes, and Ray keeps the command line with each job.
    # An address is hidden as it was given, in which letters of an override may be escaped.
    hide([addresses.secret_of(one) for one in sys.orig_argv])
    # One thread and one batch size are enough for the last bits to be the same.
    torch.set_num_threads(1)
    speed = speed_of(cfg)
    check_threshold(cfg.threshold)
    event_sinks.check(cfg)
    path = Path(what)
    is_list = path.suffix.lower() == LIST and not addresses.is_address(what)
    source = None if is_list else source_of(what, cfg)
    detector = detector_of(cfg)
    scorer = StreamScorer(detector)
    choice, evidence = choice_of(cfg, detector)
    policy = Policy(
        Habits(choice, cfg.release, evidence, cfg.update_every_s, cfg.stills),
        cfg.status_every_s,
        cfg.batch_size,
        None if cfg.replay else cfg.max_wait_s,
    )
    plan = WatchPlan(cfg, policy, speed)
    board, endings = Board(choice.threshold), Endings()
    with event_sinks.events_of(cfg, board, endings.take) as events:
        watcher: Watcher | Cluster
        if cfg.run.executor == executor.RAY:
            watcher = cluster = Cluster(plan.anywhere(), events, board, cfg.groups)
            join = cluster.join
        else:
            bell, known, passed = Bell(), plan.banks(), plan.passed()
            watcher = alone = Watcher(scorer, policy, events, bell, board)

            def join(name: str, source: Path | Fetch) -> None:
                alone.join(plan.feed(name, source, detector, bell, known, passed))

        def read(row: str) -> Path | Fetch:
            # Files are where the list is.
            return source_of(row if addresses.is_address(row) else str(path.parent / row), cfg)

        if source is None:
            watcher.run(Roster(path, watcher, read, join).look)
        else:
            join(stream_id(what), source)
            watcher.run()
    endings.check()


def speed_of(cfg: WatchApp) -> float | None:
    """At how many times its own pace a file is played; None for as fast as it goes."""
    if cfg.speed == _FASTEST:
        speed = None
    else:
        try:
            speed = float(cfg.speed)
        except ValueError:
            speed = -1.0
        if not 0 < speed < float("inf"):
            raise UserError(f"speed={cfg.speed}: give a number above 0, or {_FASTEST}")
    if speed != 1 and not cfg.replay:
        raise UserError(
            f"speed={cfg.speed}: a camera has a pace of its own; give replay=true too, which "
            "answers every clip of a file"
        )
    return speed


def check_threshold(threshold: float | None) -> None:
    """Check that a score can reach a threshold that was given by hand, and that not all do.

    Raises:
        UserError: it is none of a score.
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise UserError(
            f"threshold={threshold:g}: scores are from 0 to 1; give a number above 0 and at most "
            "1, and no percent"
        )


def source_of(what: str, cfg: WatchApp) -> Path | Fetch:
    """A file, or what is to be fetched.

    Raises:
        UserError: it is none of them.
    """
    if addresses.is_address(what):
        rules = Rules(hosts=tuple(cfg.hosts), allow_private=cfg.allow_private)
        addresses.check_given(what, rules)
        if cfg.replay:
            raise UserError(f"replay=true: {addresses.public_part(what)} is no file; leave it out")
        return Fetch(what, rules, Bounds(cfg.timeout_s, cfg.max_segment_mb))
    try:
        path = Path(what).resolve()
        is_file = path.is_file()
    except (OSError, ValueError):
        # A path that is too long, leads where nobody may look, or holds a zero byte.
        is_file = False
    if not is_file:
        schemes = ", ".join(f"{scheme}://…" for scheme in addresses.SCHEMES)
        # An address without its scheme may hold a password before the last @.
        before, at, rest = what.rpartition("@")
        raise UserError(
            f"{'…' if before else ''}{at}{rest}: there is no such file; give one, or an address "
            f"({schemes})"
        )
    return path


def stream_id(what: str) -> str:
    """The id of a stream that has no other: the name of its file, or its host."""
    name = str(urlsplit(what).hostname) if addresses.is_address(what) else Path(what).name
    return name.encode("utf-8", "replace").decode()


def choice_of(cfg: WatchApp, detector: Detector) -> tuple[Choice, Mapping[str, Any]]:
    """The operating point, and what alerts tell of it and of the detector.

    Raises:
        UserError: there is none.
    """
    card = detector.card
    weights = {"weights_sha256": detector.sha256, "encoder_sha256": card.encoder_sha256}
    if cfg.threshold is not None:
        choice = Choice(cfg.threshold, "none", cfg.refractory_s)
        record = {
            "threshold": choice.threshold,
            "smoothing": choice.smoothing,
            "refractory_s": choice.refractory_s,
            "bounds": None,
            "says": "The threshold was given by hand; nothing is known of its false alerts.",
        }
        return choice, {"operating_point": record, **weights}
    found = operating_point.read(Path(cfg.paths.reports), detector.sha256)
    if isinstance(found, str):
        raise UserError(f"{cfg.paths.reports}: {found}; or give threshold=…")
    record = {name: value for name, value in found.record.items() if name not in _LEFT_OUT}
    return found.choice, {"operating_point": record, **weights}
