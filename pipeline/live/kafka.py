"""Events into a topic of Kafka, as the protocol binding of CloudEvents for Kafka has it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.live.outbox import Delivery, Letter

log = logging.getLogger(__name__)

_CONTENT: list[tuple[str, str | bytes | None]] = [
    ("content-type", b"application/cloudevents+json; charset=UTF-8")
]


class Kafka:
    """A producer to one topic, which waits for each event to be acknowledged."""

    def __init__(
        self, brokers: Sequence[str], topic: str, settings: Mapping[str, str], timeout_s: float
    ) -> None:
        """Connect to nobody yet.

        Args:
            brokers: `host:port` each.
            topic: that events go to.
            settings: of librdkafka, for TLS and passwords above all.
            timeout_s: for an acknowledgement.

        Raises:
            UserError: the client is not installed, or a setting is none of librdkafka's.
        """
        try:
            from confluent_kafka import KafkaException, Producer
        except ModuleNotFoundError as error:
            raise UserError(
                "kafka=…: confluent_kafka is not installed; run pip install '.[kafka]' in the "
                "clone (of a wheel, its path with [kafka])"
            ) from error
        self._error, self._topic, self._timeout_s = KafkaException, topic, timeout_s
        own = {
            "bootstrap.servers": ",".join(brokers),
            "client.id": "discern",
            # What this process sends twice to be sure is written once.
            "enable.idempotence": True,
            "message.timeout.ms": round(1000 * timeout_s),
            "log_level": 0,
        }
        try:
            # What fails is told by the deliveries that wait for it.
            self._producer = Producer({**settings, **own}, logger=log)
        except KafkaException as error:
            # Its text names the setting, and not its value.
            raise UserError(
                f"kafka_settings: {error.args[0].str()}; see librdkafka's CONFIGURATION.md"
            ) from error

    def deliver(self, letter: Letter) -> Delivery:
        """Try to deliver an event once; events of a stream are of one partition."""
        found: list[Any] = []
        subject = json.loads(letter.body).get("subject", "")
        try:
            self._producer.produce(
                self._topic,
                value=letter.body.encode(),
                key=subject.encode(),
                headers=_CONTENT,
                on_delivery=lambda error, _: found.append(error),
            )
            # A little later than librdkafka, which says what was wrong.
            self._producer.flush(self._timeout_s + 1.0)
        except (self._error, BufferError) as error:
            return Delivery(False, f"kafka: {error}")
        if not found:
            self._producer.purge()
            return Delivery(False, f"kafka: no acknowledgement in {self._timeout_s:g} s")
        (failure,) = found
        return Delivery(failure is None, "" if failure is None else f"kafka: {failure.str()}")


def settings_of(path: str | None) -> dict[str, str]:
    """The settings of a file, `name=value` a line.

    Raises:
        UserError: it cannot be read, or a line is none; the text tells no value.
    """
    if path is None:
        return {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "no text in UTF-8"
        raise UserError(f"kafka_settings={path}: {said}; give a file of name=value") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, is_one, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not is_one or not name.strip():
            raise UserError(f"kafka_settings={path}: line {number} is no name=value; write one")
        found[name.strip()] = value.strip()
    return found
