"""The state of a watch as metrics of Prometheus; none has a label for each stream."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipeline.live import events
from pipeline.live.board import STATES, Board
from pipeline.live.events import Event

_SECONDS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Text for Prometheus, of what a board shows."""

    def __init__(self, board: Board, waiting: Mapping[str, Callable[[], tuple[int, int]]]) -> None:
        """Begin to count.

        Args:
            board: of the watch.
            waiting: for each receiver, how many events wait for it, and how many are dead letters.
        """
        from prometheus_client import CollectorRegistry, Histogram

        self._board, self._waiting = board, waiting
        self._registry = CollectorRegistry()
        collector: Any = self
        self._registry.register(collector)
        self._late = Histogram(
            "discern_alert_lag_seconds",
            "From when the clip of an alert would have come without any delay to the alert",
            buckets=_SECONDS,
            registry=self._registry,
        )

    def take(self, event: Event) -> None:
        """Take an event that is told."""
        lag_s = event["data"].get("lag_s")
        if event["type"] == events.ALERT_OPENED and lag_s is not None:
            self._late.observe(lag_s)

    def text(self) -> bytes:
        """All metrics, in the format of Prometheus."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def collect(self) -> Iterator[Any]:
        """Yield what `prometheus_client` asks for."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        board, streams = self._board, self._board.streams
        states = Counter(one.state for one in streams)
        gauge = GaugeMetricFamily("discern_streams", "Streams", labels=["state"])
        for state in STATES:
            gauge.add_metric([state.replace(" ", "_")], states[state])
        yield gauge
        answered, dropped = board.num_clips()
        yield CounterMetricFamily("discern_clips_answered", "Clips answered", answered)
        yield CounterMetricFamily("discern_clips_dropped", "Clips not answered", dropped)
        counts = {
            "discern_events": ("Events told", "type", board.num_events),
            "discern_streams_lost": ("Losses and ends of streams", "reason", board.num_lost),
            "discern_decode_errors": ("Errors of decoders", "code", board.num_faults()),
        }
        for name, (says, label, found) in counts.items():
            counter = CounterMetricFamily(name, says, labels=[label])
            # Another thread may add to it meanwhile.
            for value, num in sorted(found.copy().items()):
                counter.add_metric([value], num)
            yield counter
        lags = [one.lag_s for one in streams if one.lag_s is not None]
        values = {
            "discern_lag_seconds": ("How late the latest stream is", max(lags, default=0.0)),
            "discern_alerts_open": ("Alerts open", sum(one.alert is not None for one in streams)),
            "discern_answered_share": (
                "Share of the clips of a stream that is answered",
                board.load.get("answered_share", 1.0),
            ),
            "discern_watcher_idle_seconds": (
                "Since the watcher was last at work",
                time.monotonic() - board.beat,
            ),
        }
        for name, count in self._waiting.items():
            waiting, dead = count()
            values[f"discern_{name}_waiting"] = f"Events that wait for the {name}", waiting
            values[f"discern_{name}_dead"] = f"Events that the {name} never took", dead
        for name, (says, value) in values.items():
            yield GaugeMetricFamily(name, says, value)
