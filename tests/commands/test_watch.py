from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipeline import app
from pipeline.assess import previews
from pipeline.assess.suites.streams.assembly import assemble
from pipeline.assess.suites.streams.played_clips import PlayedClips
from pipeline.commands import watch
from pipeline.detect.alarm import Alarm, Choice
from pipeline.detect.clips import of_ingested, play
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, write_index
from pipeline.live.decoder import DecodingTask, decoded
from pipeline.live.messages import StreamClip
from pipeline.live.scoring import StreamScorer
from pipeline.stages import ingest
from tests.learn.toy import FORMAT
from tests.live.made import LIMITS, kinds, watched, without_names, write_footage, write_model

MAX = ("replay=true", "speed=max")
LOW = ("threshold=0.15", "refractory_s=1")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "models")


def scores_of(model: Path, path: Path) -> list[tuple[float, float]]:
    """The second at the end of each clip of a file, and its score."""
    scorer = StreamScorer(Detector.load(model))
    return [
        (one.start_s + FORMAT.num_frames / FORMAT.fps, scorer.score({"a": one})["a"].score)
        for one in decoded(DecodingTask(path, FORMAT, LIMITS, 4096), None)
        if isinstance(one, StreamClip)
    ]


def a_threshold(model: Path, path: Path) -> float:
    """One that some clips of a file reach and others do not."""
    scores = [score for _, score in scores_of(model, path)]
    assert np.ptp(scores) > 1e-3
    return float(np.median(scores))


def test_alerts_of_a_file_are_those_of_the_alarm(
    model: Path,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_footage(tmp_path / "a.mp4", 100, 150)
    threshold = a_threshold(model, path)
    alarm, expected = Alarm(Choice(threshold, "none", 1.0), 1), []
    for at_s, score in scores_of(model, path):
        step = alarm.push(np.array([score]), np.array([at_s]))
        expected += [(one.state, round(one.opened_s, 6)) for one in step.alerts()]
    overrides = (*MAX, f"threshold={threshold}", "refractory_s=1", "update_every_s=0")
    events = watched(capsys, compose, path, *overrides, "release=null")
    states = {"alert.opened": "opened", "alert.updated": "continued", "alert.closed": "closed"}
    found = [
        (states[one["type"]], one["data"]["opened_s"]) for one in events if one["type"] in states
    ]
    is_left_open = [state for state, _ in expected].count("opened") - [
        state for state, _ in expected
    ].count("closed")
    assert found[: len(expected)] == expected
    assert [state for state, _ in found[len(expected) :]] == ["closed"] * is_left_open
    assert {"opened", "continued", "closed"} == {state for state, _ in found}


def test_a_file_gives_the_same_in_real_time_as_at_full_speed(
    model: Path,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_footage(tmp_path / "a.mp4", 60, 60)
    low = (f"threshold={a_threshold(model, path)}", "refractory_s=1", "update_every_s=0")
    fast = watched(capsys, compose, path, *MAX, *low)
    begin = time.monotonic()
    slow = watched(capsys, compose, path, *low)
    assert time.monotonic() - begin > 3.5
    assert without_names(fast) == without_names(slow)
    assert "alert.opened" in kinds(fast)
    assert kinds(fast)[0] == "stream.started"
    assert kinds(fast)[-1] == "stream.ended"
    lags = [one["data"]["lag_s"] for one in slow if "lag_s" in one["data"]]
    assert all(lag >= 0 for lag in lags)


def test_an_alert_tells_its_evidence_and_no_picture_but_protected_stills(
    model: Path,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_footage(tmp_path / "a.mp4", 60)
    events = watched(capsys, compose, path, *MAX, "threshold=0.001")
    alert = next(one for one in events if one["type"] == "alert.opened")
    assert alert["specversion"] == "1.0"
    assert alert["source"] == "/discern/streams/a.mp4"
    assert len({one["id"] for one in events}) == len(events)
    data = alert["data"]
    assert data["weights_sha256"] == Detector.load(model).sha256
    assert data["operating_point"]["threshold"] == 0.001
    assert "nothing is known of its false alerts" in data["operating_point"]["says"]
    assert data["trace"][-1]["score"] == data["score"]
    assert data["last_clip"]["sound"] == "present"
    # This detector does not hear.
    assert data["last_clip"]["seen"] == data["last_clip"]["seen_and_heard"]
    assert 0 < data["last_clip"]["seen"]["p_discharge"] < 1
    assert str(tmp_path) not in json.dumps(events)
    stills = data.pop("stills")
    assert len(json.dumps(data)) < 8000
    assert "stills" not in json.dumps([one for one in events if one["type"] != "alert.opened"])
    image = Image.open(io.BytesIO(base64.b64decode(stills.removeprefix("data:image/jpeg;base64,"))))
    assert (image.mode, image.size) == ("L", (3 * previews.SIZE, previews.SIZE))
    plain = watched(capsys, compose, path, *MAX, "threshold=0.001", "stills=false")
    assert "stills" not in json.dumps(plain)


def test_the_operating_point_of_the_evaluation_is_applied_and_told(
    model: Path,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_footage(tmp_path / "a.mp4", 60)
    with pytest.raises(UserError, match=r"no evaluation of the packed splits.*or give threshold="):
        watched(capsys, compose, path, *MAX)
    point = {
        "weights_sha256": Detector.load(model).sha256,
        "threshold": 0.01,
        "smoothing": "mean_3",
        "refractory_s": 5.0,
        "bounds": {"false_alerts_per_1000_h": [0.0, 9.5]},
    }
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "operating_point.json").write_text(json.dumps(point))
    events = watched(capsys, compose, path, *MAX)
    told = next(one["data"] for one in events if one["type"] == "alert.opened")
    assert told["operating_point"]["bounds"] == {"false_alerts_per_1000_h": [0.0, 9.5]}
    assert told["operating_point"]["smoothing"] == "mean_3"
    trace = told["trace"]
    mean = sum(one["score"] for one in trace[-3:]) / 3
    assert trace[-1]["level"] == pytest.approx(mean, abs=1e-5)


def test_the_time_to_alert_of_a_report_is_that_of_watch(
    model: Path,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "footage" / "made"
    folder.mkdir(parents=True)
    path = write_footage(folder / "a.mp4", 300)
    row = IndexRow(path.name, origin="real", source="s", discharge=False, licence="CC0-1.0")
    write_index(folder, [row])
    form = [f"clip.num_frames={FORMAT.num_frames}", f"clip.size={FORMAT.size}"]
    ingest.run(compose("ingest", *form, f"stride_frames={FORMAT.num_frames}"))
    played, _ = play(Detector.load(model), of_ingested(tmp_path / "clips"))
    played = played.sort_by("start_s")
    scores = played["stream_score"].to_numpy()
    levels = np.convolve(scores, np.ones(3) / 3)[: len(scores)]
    # The shooting begins two clips before the highest level, which alone alerts.
    highest = int(np.argmax(levels))
    first = highest - 2
    assert first >= 0
    threshold = float(np.partition(levels, -2)[-2:].mean())
    assert levels[highest] > threshold
    choice = Choice(threshold, "mean_3", 60.0)
    fires = pa.array([int(number >= first) for number in range(len(scores))], pa.int8())
    place = played.schema.get_field_index("discharge")
    field = played.schema.field("discharge")
    shooting = played.set_column(place, field, fires.cast(field.type))
    clip_s = FORMAT.num_frames / FORMAT.fps
    streams = assemble(PlayedClips.of(shooting, clip_s, 0), 0)
    (delay_s,) = set(streams.delays(choice).round(6))
    assert np.isfinite(delay_s)
    point = {**choice.__dict__, "weights_sha256": Detector.load(model).sha256, "bounds": None}
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "operating_point.json").write_text(json.dumps(point))
    events = watched(capsys, compose, path, *MAX)
    opened = [one["data"]["opened_s"] for one in events if one["type"] == "alert.opened"]
    assert opened == [pytest.approx(first * clip_s + delay_s, abs=1e-5)]


def test_in_shadow_events_are_marked_and_written_only(
    model: Path,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, written = write_footage(tmp_path / "a.mp4", 60), tmp_path / "events.jsonl"
    own = (*MAX, "threshold=0.001", f"events={written}")
    first = watched(capsys, compose, path, *own, "shadow=true")
    assert all(one["data"]["shadow"] is True for one in first)
    assert "alert.opened" in kinds(first)
    second = watched(capsys, compose, path, *own)
    assert not any("shadow" in one["data"] for one in second)
    # A file is gone on with.
    assert [json.loads(line) for line in written.read_text().splitlines()] == [*first, *second]
    with pytest.raises(UserError, match="shadow=true: events are written only; leave webhook out"):
        watched(capsys, compose, path, *own, "shadow=true", "webhook=http://127.0.0.1/")
    with pytest.raises(UserError, match="give a file to write to"):
        watched(capsys, compose, path, *MAX, "threshold=0.001", f"events={tmp_path}")


def test_a_full_disk_ends_it_with_a_sentence(
    model: Path,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_footage(tmp_path / "a.mp4", 60)
    overrides = (*MAX, "threshold=0.001", "events=/dev/full")
    told = watched(
        capsys, compose, path, *overrides, fails="events=/dev/full: No space left .*; free the disk"
    )
    assert kinds(told)[0] == "stream.started"
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(UserError, match=r"stdout: events cannot be written there \(No space"):
            watch.run(str(path), cfg=compose("watch", *MAX, "threshold=0.001"))
        monkeypatch.undo()


def test_addresses_are_hidden_as_they_were_given(
    compose: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["rtmp://me:seCret@x/key", "webhook=https://x/?seCret\\=1", "speed=0"]
    hidden: list[str] = []
    monkeypatch.setattr(watch, "hide", hidden.extend)
    monkeypatch.setattr(sys, "orig_argv", ["discern", "watch", *given])
    with pytest.raises(UserError, match="speed=0"):
        watch.run(given[0], cfg=compose("watch", *given[1:]))
    assert {"me:seCret@x/key", "x/?seCret\\=1"} <= set(hidden)


def test_a_refused_stream_is_a_failure(
    model: Path, compose: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    fails = r"nothing could be watched: 127.0.0.1: refused \(http://127.0.0.1:9/…: leads to an"
    watched(capsys, compose, "http://127.0.0.1:9/seCret", "threshold=0.5", fails=fails)


def test_a_quiet_file_tells_its_highest_level(
    model: Path,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = write_footage(tmp_path / "a.mp4", 100)
    highest, at_s = max((score, at_s) for at_s, score in scores_of(model, path))
    caplog.set_level("INFO")
    events = watched(capsys, compose, path, *MAX, "threshold=1")
    ended = events[-1]["data"]
    assert ended["highest_level"] == pytest.approx(highest, abs=1e-5)
    assert ended["highest_at_s"] == pytest.approx(at_s, abs=0.1)
    assert (ended["threshold"], ended["num_alerts"]) == (1, 0)
    assert f"reason end, highest_level {ended['highest_level']}, threshold 1.0)" in caplog.text


@pytest.mark.parametrize(
    ("what", "overrides", "says"),
    [
        ("gone.mp4", (), "there is no such file; give one, or an address"),
        ("me:secret@cam/live", (), "^…@cam/live: there is no such file; give one, or an address"),
        ("ftp://example.org/a", (), "the scheme is none of http, https, rtmp"),
        ("http:///a", (), "no host"),
        ("a.mp4", ("speed=2",), "give replay=true too"),
        ("a.mp4", ("speed=fast", "replay=true"), "speed=fast: give a number above 0, or max"),
        ("http://example.org/a.ts", ("replay=true",), "is no file; leave it out"),
        ("a.mp4", ("threshold=1.5",), "threshold=1.5: scores are from 0 to 1;.* no percent"),
    ],
)
def test_what_cannot_be_watched_is_named(
    model: Path,
    tmp_path: Path,
    compose: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    overrides: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(UserError, match=says):
        watch.run(what, cfg=compose("watch", *LOW, *overrides))


def test_a_file_that_cannot_be_decoded_ends_with_its_reason(
    model: Path,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video at all" * 1000)
    events = watched(capsys, compose, path, *MAX, *LOW, fails="a.mp4: decode_error")
    assert kinds(events) == ["stream.ended"]
    assert events[0]["data"]["reason"] == "decode_error"
    assert str(tmp_path) not in json.dumps(events)


def descendants(process_id: int) -> set[int]:
    import psutil

    return {one.pid for one in psutil.Process(process_id).children(recursive=True)}


def left_of(processes: set[int], wait_s: float) -> list[int]:
    """Those of some processes that are still there after so long."""
    import psutil

    deadline = time.monotonic() + wait_s
    while any(map(psutil.pid_exists, processes)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return [one for one in processes if psutil.pid_exists(one)]


def started(
    path: Path, model: Path, *overrides: str, stderr: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """`watch` in a process of its own."""
    command = [sys.executable, "-m", "pipeline", "watch", str(path), *overrides]
    # Whoever starts tests in the background has SIGINT ignored, which processes inherit.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [*command, f"paths.models={model}"],
            cwd=app.PROJECT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(["", *sys.path])},
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_its_alerts_and_ends_all_its_processes(
    model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    path = write_footage(tmp_path / "a.mp4", 900)
    with started(path, model, "threshold=0.001") as process:
        assert process.stdout is not None
        events = [json.loads(process.stdout.readline())]
        assert events[0]["type"] == "stream.started"
        while events[-1]["type"] != "alert.opened":
            events.append(json.loads(process.stdout.readline()))
        below = descendants(process.pid)
        assert below
        process.send_signal(number)
        rest, said = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert f"watch: stopped by {number.name}" in said
    # No alert is open once nobody watches, with a webhook or without one.
    events += map(json.loads, rest.splitlines())
    opened, closed = (
        [one["data"]["alert"] for one in events if one["type"] == kind]
        for kind in ("alert.opened", "alert.closed")
    )
    assert opened
    assert opened == closed
    assert events[-1]["data"]["reason"] == "watch_ended"
    assert left_of(below, wait_s=60) == []


@pytest.mark.slow
def test_its_page_follows_it_and_ends_with_it(model: Path, tmp_path: Path) -> None:
    path = write_footage(tmp_path / "a.mp4", 900)
    own = ("threshold=0.001", "serve=true", "serve_port=0", f"paths.work={tmp_path / 'work'}")
    with started(path, model, *own) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = next(line for line in process.stderr if "the page is at" in line)
        url = said.split()[-1]

        def asked(place: str) -> str:
            with urllib.request.urlopen(url + place, timeout=60) as answer:
                found: str = answer.read().decode()
            return found

        while json.loads(process.stdout.readline())["type"] != "alert.opened":
            pass
        until = time.monotonic() + 120
        while time.monotonic() < until:
            time.sleep(0.5)
            if json.loads(asked("state"))["streams"][0]["num_answered"] > 1:
                break
        assert asked("readyz") == "well\n"
        shown = json.loads(asked("state"))
        (stream,), (alert,) = shown["streams"], shown["alerts"]
        assert (stream["name"], stream["state"]) == ("a.mp4", "watched")
        assert stream["alert"] == alert["alert"]
        assert len(stream["levels"]) == stream["num_answered"] > 1
        assert 'discern_streams{state="watched"} 1.0' in asked("metrics")
        # Somebody who looks at it does not hold it up.
        reader = urllib.request.urlopen(url + "events", timeout=60)
        assert reader.readline() == b"event: state\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT


@pytest.mark.slow
def test_nothing_is_left_of_it_when_it_is_killed(model: Path, tmp_path: Path) -> None:
    path = write_footage(tmp_path / "a.mp4", 900)
    with started(path, model, *LOW, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "stream.started"
        below = descendants(process.pid)
        assert below
        process.kill()
        process.wait(timeout=120)
        assert left_of(below, wait_s=60) == []


@pytest.mark.slow
def test_it_ends_with_a_sentence_when_nobody_reads_its_events(model: Path, tmp_path: Path) -> None:
    path = write_footage(tmp_path / "a.mp4", 300)
    with started(path, model, *MAX, "threshold=0.001", "refractory_s=0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        process.wait(timeout=120)
    assert process.returncode == 1
    assert said.splitlines()[-1] == (
        "watch: stdout: nobody reads events there any more; nothing is watched"
    )


@pytest.mark.slow
def test_it_goes_on_and_stops_where_the_reader_of_its_events_hangs(
    model: Path, tmp_path: Path
) -> None:
    path, events = write_footage(tmp_path / "a.mp4", 900), tmp_path / "events.jsonl"
    often = ("threshold=0.001", "update_every_s=0", f"events={events}")
    with started(path, model, *often) as process:
        until = time.monotonic() + 120
        # A pipe holds so much, and nobody reads this one.
        while not events.exists() or events.stat().st_size < 2**17:
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.1)
        process.terminate()
        process.wait(timeout=120)
        assert process.returncode == 128 + signal.SIGTERM
        assert process.stderr is not None
        assert "stdout: whoever reads events there has stopped; they wait" in process.stderr.read()
    assert json.loads(events.read_text().splitlines()[-1])["type"] == "alert.closed"
