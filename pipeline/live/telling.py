"""Who is told of the events of a watch: stdout, a file, a webhook by way of the disk, a page."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.config import WatchApp
from pipeline.errors import UserError
from pipeline.live import guarding, serving, webhooks
from pipeline.live.alerts import WATCH_ENDED
from pipeline.live.board import Board
from pipeline.live.decisions import Decisions
from pipeline.live.events import ALERT_CLOSED, Event, Events, Sink, line
from pipeline.live.metrics import Metrics
from pipeline.live.outbox import Courier, Outbox
from pipeline.live.server import Server
from pipeline.store import workdir

OUTBOX = "watch"
"""Of the work folder, where events wait for their receiver, and alerts for a decision."""
# Who told a watch to stop does not wait long.
_HURRIED_S = 2.0


@contextmanager
def events_of(cfg: WatchApp, board: Board) -> Iterator[Events]:
    """Let all be told who are to be.

    Args:
        cfg: names them.
        board: what a page shows, if there is one.

    Raises:
        UserError: settings contradict each other, the webhook's address or secret is none, another
            process has its queue, a file cannot be written, or an address cannot be had.
    """
    if cfg.shadow and cfg.webhook is not None:
        raise UserError("shadow=true: events are written only; leave webhook out")
    with ExitStack() as stack:
        work = Path(cfg.paths.work)
        folder = work / OUTBOX if cfg.outbox is None else Path(cfg.outbox)
        if cfg.webhook is not None or cfg.serve:
            stack.enter_context(workdir.claimed(folder, work))
        sinks: list[Sink] = []
        outbox = None
        if cfg.webhook is not None:
            outbox = Outbox(folder)
            # What is on disk is not lost, whatever becomes of this process while it prints.
            sinks.append(stack.enter_context(_delivering(cfg, outbox)))
        if cfg.serve:
            sinks += stack.enter_context(_served(cfg, folder, board, outbox))
        sinks.append(_print)
        if cfg.events is not None:
            sinks.append(stack.enter_context(_writing(cfg.events)))
        events = Events(sinks, {"shadow": True} if cfg.shadow else None)
        for stream, data in outbox.left_open() if outbox else ():
            events.tell(ALERT_CLOSED, stream, {**data, "reason": WATCH_ENDED})
        yield events


@contextmanager
def _delivering(cfg: WatchApp, outbox: Outbox) -> Iterator[Sink]:
    """What has events delivered to a webhook."""
    assert cfg.webhook is not None
    secret = os.environ.get(webhooks.SECRET)
    receiver = webhooks.webhook(cfg.webhook, secret, cfg.timeout_s)
    courier = Courier(outbox, receiver.deliver)
    courier.start()
    try:
        yield courier.put
    except BaseException:
        courier.finish(_HURRIED_S)
        raise
    courier.finish(cfg.timeout_s)


@contextmanager
def _served(
    cfg: WatchApp, folder: Path, board: Board, outbox: Outbox | None
) -> Iterator[list[Sink]]:
    """What shows events on a page."""
    guarding.check_installed(serving.NEEDED, "serve=true")
    token = guarding.checked_token(cfg.serve_host, os.environ.get(guarding.TOKEN))
    decisions = Decisions(folder)
    metrics = Metrics(board, None if outbox is None else outbox.count)
    page = serving.Page(board, decisions, metrics, token)
    server = Server(page.application(), cfg.serve_host, cfg.serve_port, "watch")
    try:
        yield [decisions.take, board.take, metrics.take]
    finally:
        server.stop()


@contextmanager
def _writing(path: str) -> Iterator[Sink]:
    """What appends events to a file."""
    try:
        file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise UserError(f"events={path}: {error.strerror}; give a file to write to") from error

    def write(event: Event) -> None:
        print(line(event), file=file, flush=True)

    with file:
        yield write


def _print(event: Event) -> None:
    try:
        print(line(event), flush=True)
    except BrokenPipeError as error:
        # What is left in the buffer would be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise UserError("stdout: nobody reads events there any more; nothing is watched") from error
