"""Tells stdout, a file, a page, and by way of the disk others, of the events of a watch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from pipeline.config import WatchApp
from pipeline.errors import UserError
from pipeline.live import guarding, piping, serving, webhooks
from pipeline.live.alerts import WATCH_ENDED
from pipeline.live.board import Board
from pipeline.live.courier import Courier
from pipeline.live.decisions import Decisions
from pipeline.live.events import ALERT_CLOSED, Event, EventSender, Sink, line
from pipeline.live.kafka import Kafka, settings_of
from pipeline.live.metrics import Metrics
from pipeline.live.outbox import Outbox
from pipeline.live.server import Server
from pipeline.live.webhooks import Webhook
from pipeline.store import workdir

OUTBOX = "watch"
"""Folder of the work folder where events wait for their receiver, and alerts for a decision."""
# Events of a queue are those of one receiver.
_FOLDERS = {"webhook": ".", "kafka": "kafka"}
# Who told a watch to stop does not wait long.
_HURRIED_S = 2.0


def check(cfg: WatchApp) -> None:
    """Check what can be checked of who is told, before anything is loaded.

    Raises:
        UserError: settings contradict each other, a secret or the webhook's address is none, or
            what they need is not installed.
    """
    receivers = _receivers(cfg)
    if cfg.shadow and receivers:
        raise UserError(
            f"shadow=true: events are written only; leave {' and '.join(receivers)} out"
        )
    if cfg.webhook is not None:
        receivers["webhook"]()
    if cfg.serve:
        _token(cfg)


@contextmanager
def events_of(cfg: WatchApp, board: Board, *also: Sink) -> Iterator[EventSender]:
    """Let all be told who are to be.

    Args:
        cfg: names them.
        board: what a page shows, if there is one.
        also: who else is told.

    Raises:
        UserError: what `check` raises, another process has the queue, a file cannot be written, or
            an address cannot be had.
    """
    receivers = _receivers(cfg)
    with ExitStack() as stack:
        work = Path(cfg.paths.work)
        folder = work / OUTBOX if cfg.outbox is None else Path(cfg.outbox)
        if receivers or cfg.serve:
            stack.enter_context(workdir.claimed(folder, work))
        sinks: list[Sink] = []
        outboxes: dict[str, Outbox] = {}
        for name, make in receivers.items():
            outboxes[name] = Outbox(folder / _FOLDERS[name])
            # What is on disk is not lost, whatever becomes of this process while it prints.
            courier = Courier(outboxes[name], make().deliver, name)
            sinks.append(stack.enter_context(_delivering(courier, cfg.timeout_s)))
        if cfg.serve:
            sinks += stack.enter_context(_served(cfg, folder, board, outboxes))
        sinks += [stack.enter_context(_printing()), *also]
        if cfg.events is not None:
            sinks.append(stack.enter_context(_writing(cfg.events)))
        events = EventSender(sinks, {"shadow": True} if cfg.shadow else None)
        left = {data["alert"]: (stream, data) for stream, data in _left_open(outboxes)}
        for stream, data in left.values():
            events.tell(ALERT_CLOSED, stream, {**data, "reason": WATCH_ENDED})
        yield events


def _receivers(cfg: WatchApp) -> dict[str, Callable[[], Webhook | Kafka]]:
    """Return what makes each receiver that events are delivered to."""
    url, brokers = cfg.webhook, cfg.kafka
    found: dict[str, Callable[[], Webhook | Kafka]] = {}
    if url is not None:
        found["webhook"] = lambda: webhooks.webhook(
            url, os.environ.get(webhooks.SECRET), cfg.timeout_s
        )
    if brokers:
        found["kafka"] = lambda: Kafka(
            brokers, cfg.kafka_topic, settings_of(cfg.kafka_settings), cfg.timeout_s
        )
    return found


def _left_open(outboxes: Mapping[str, Outbox]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what a watch that was killed has left open, by any of the queues."""
    for outbox in outboxes.values():
        yield from outbox.left_open()


@contextmanager
def _delivering(courier: Courier, wait_s: float) -> Iterator[Sink]:
    """Yield what has events delivered to a receiver."""
    courier.start()
    try:
        yield courier.put
    except BaseException:
        courier.finish(_HURRIED_S)
        raise
    courier.finish(wait_s)


def _token(cfg: WatchApp) -> str | None:
    """Return what the page wants of who asks; None where that is nothing."""
    guarding.check_installed(serving.NEEDED, "serve=true")
    return guarding.checked_token(cfg.serve_host, os.environ.get(guarding.TOKEN))


@contextmanager
def _served(
    cfg: WatchApp, folder: Path, board: Board, outboxes: Mapping[str, Outbox]
) -> Iterator[list[Sink]]:
    """Yield what shows events on a page."""
    token = _token(cfg)
    decisions = Decisions(folder)
    metrics = Metrics(board, {name: outbox.count for name, outbox in outboxes.items()})
    page = serving.Page(board, decisions, metrics, token)
    server = Server(page.application(), cfg.serve_host, cfg.serve_port, "watch", page.over.set)
    try:
        yield [decisions.take, board.take, metrics.take]
    finally:
        server.stop()


@contextmanager
def _writing(path: str) -> Iterator[Sink]:
    """Yield what appends events to a file."""
    try:
        # Without a buffer, which would be written once more when the file is closed.
        file = Path(path).open("ab", buffering=0)  # noqa: SIM115
    except OSError as error:
        raise UserError(f"events={path}: {error.strerror}; give a file to write to") from error

    def append(text: str) -> None:
        rest = memoryview(text.encode())
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            raise UserError(
                f"events={path}: {error.strerror}; free the disk or give another file, then run "
                "it again"
            ) from error

    with file:
        if Path(path).is_file() and not _ends_whole(Path(path)):
            # A watch that was killed while it wrote has left half a line.
            append("\n")
        yield lambda event: append(f"{line(event)}\n")


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


@contextmanager
def _printing() -> Iterator[Sink]:
    """Yield what prints events to stdout, where nothing else is printed meanwhile.

    Ray has a thread that prints there what becomes of its processes.
    """
    out = sys.stdout
    pipe = piping.pipe_of(out)

    def show(event: Event) -> None:
        try:
            print(line(event), file=out, flush=True)
        except OSError as error:
            # What is left in the buffer would be tried again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
            raise piping.unwritten(error) from error

    with redirect_stdout(sys.stderr), ExitStack() as stack:
        if pipe is None:
            yield show
            return
        out.flush()
        put = stack.enter_context(piping.piped(pipe, _HURRIED_S)).put
        yield lambda event: put(f"{line(event)}\n".encode())
