from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from pipeline.live.addresses import Rules
from pipeline.live.fetcher import Bounds, Fetch
from pipeline.live.messages import DecoderEnd, Heading, Message, StreamClip
from pipeline.live.session import Session, SessionSettings
from tests.learn.toy import FORMAT
from tests.live.made import LIMITS, write_footage
from tests.live.servers import chunked, paced, remuxed, serving

MEANS = SessionSettings(FORMAT, LIMITS, 4096)


def received(session: Session) -> list[Message]:
    found: list[Message] = []
    while not (found and isinstance(found[-1], DecoderEnd)):
        message = session.receive(30.0)
        assert message is not None
        found.append(message)
    return found


def test_who_decodes_has_no_network_and_both_are_limited(tmp_path: Path) -> None:
    data = remuxed(write_footage(tmp_path / "a.mp4", 60), "ts")
    with serving() as server:
        server.routes["/a"] = chunked(lambda: paced(data, 2.0))
        rules = Rules(allow_private=True)
        session = Session(Fetch(server.url("/a"), rules, Bounds(10.0, 1.0)), MEANS)
        try:
            fetcher, decoder = (psutil.Process(one.pid) for one in session._processes)
            assert isinstance(session.receive(30.0), Heading)
            filters = [
                Path(f"/proc/{one.pid}/status").read_text().split("Seccomp:")[1].split()[0]
                for one in (fetcher, decoder)
            ]
            assert filters == ["0", "2"]
            assert not [one for one in decoder.net_connections() if one.family.name != "AF_UNIX"]
            for one in (fetcher, decoder):
                assert one.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
                assert one.rlimit(psutil.RLIMIT_AS) == (4096 << 20, 4096 << 20)
            assert [type(one) for one in received(session)][-1] is DecoderEnd
            report = session.report()
            assert report is not None
            assert report.reason == "end"
        finally:
            session.close()
    assert not psutil.pid_exists(fetcher.pid)
    assert not psutil.pid_exists(decoder.pid)


def test_a_session_that_is_closed_leaves_no_process(tmp_path: Path) -> None:
    session = Session(write_footage(tmp_path / "a.mp4", 300), MEANS)
    processes = [one.pid for one in session._processes]
    assert len(processes) == 1
    while not isinstance(session.receive(30.0), StreamClip):
        pass
    session.close()
    assert not any(psutil.pid_exists(one) for one in processes if one)


def test_a_file_that_is_gone_has_a_reason(tmp_path: Path) -> None:
    session = Session(tmp_path / "gone.mp4", MEANS)
    try:
        assert received(session)[-1].__dict__["reason"] == "decode_error"
    finally:
        session.close()
    with pytest.raises(OSError, match="closed"):
        session.receive(0.1)
