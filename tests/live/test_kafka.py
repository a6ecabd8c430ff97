"""Events into Kafka: a broker of librdkafka's own for tests, by the network of this machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.live.kafka import Kafka, settings_of
from pipeline.live.outbox import FILE, Letter
from tests.live.made import kinds, watched, write_footage, write_model

LETTER = Letter("1", json.dumps({"id": "1", "subject": "yard"}), 0)


@pytest.fixture
def broker() -> Iterator[str]:
    confluent_kafka = pytest.importorskip("confluent_kafka")
    mock = {"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0}
    producer = confluent_kafka.Producer(mock)
    (one,) = producer.list_topics(timeout=60).brokers.values()
    yield f"{one.host}:{one.port}"
    # It lives as long as its producer.
    producer.flush(0)


def taken(broker: str, topic: str, num: int) -> list[Any]:
    """The first messages of a topic."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": broker, "group.id": "test", "log_level": 0})
    partitions = consumer.list_topics(topic, timeout=60).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    found: list[Any] = []
    until = time.monotonic() + 60
    while len(found) < num and time.monotonic() < until:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            found.append(message)
    consumer.close()
    return found


def test_every_event_of_a_watch_is_a_message_keyed_by_its_stream(
    broker: str,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_model(tmp_path / "models")
    path = write_footage(tmp_path / "a.mp4", 60)
    own = (f"kafka=[{broker}]", "kafka_topic=alerts", "threshold=0.001")
    events = watched(capsys, compose, path, "replay=true", "speed=max", *own)
    assert {"alert.opened", "stream.ended"} <= set(kinds(events))
    messages = taken(broker, "alerts", len(events))
    assert [json.loads(one.value()) for one in messages] == events
    assert {one.key() for one in messages} == {b"a.mp4"}
    (header,) = messages[0].headers()
    assert header == ("content-type", b"application/cloudevents+json; charset=UTF-8")
    # A queue of its own, beside that of a webhook.
    assert (tmp_path / "work" / "watch" / "kafka" / FILE).is_file()
    with pytest.raises(UserError, match=r"shadow=true: .* leave kafka out"):
        watched(capsys, compose, path, *own, "shadow=true")


def test_an_event_that_nobody_acknowledges_is_tried_again_and_the_queue_says_why() -> None:
    pytest.importorskip("confluent_kafka")
    # A port of this machine at which nobody listens.
    kafka = Kafka(["127.0.0.1:9"], "alerts", {}, 0.5)
    delivery = kafka.deliver(LETTER)
    assert not delivery.is_done
    assert delivery.said.startswith("kafka: ")


def test_what_is_no_setting_is_named_without_its_value(tmp_path: Path) -> None:
    path = tmp_path / "kafka.properties"
    path.write_text("# TLS\n\nsecurity.protocol=SASL_SSL\nsasl.password = a=b\n")
    assert settings_of(str(path)) == {"security.protocol": "SASL_SSL", "sasl.password": "a=b"}
    assert settings_of(None) == {}
    path.write_text("sasl.password seCret")
    with pytest.raises(UserError, match="line 1 is no name=value") as told:
        settings_of(str(path))
    assert "seCret" not in str(told.value)
    with pytest.raises(UserError, match="No such file"):
        settings_of(str(tmp_path / "none"))
    pytest.importorskip("confluent_kafka")
    with pytest.raises(UserError, match=r"kafka_settings: .*no\.such\.setting"):
        Kafka(["127.0.0.1:9"], "alerts", {"no.such.setting": "seCret"}, 1.0)


def test_without_the_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(UserError, match=r"confluent_kafka is not installed; run pip install"):
        Kafka(["127.0.0.1:9"], "alerts", {}, 1.0)
