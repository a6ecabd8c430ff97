"""Discern inside threatexchange, offline; skipped where the extra `[exchange]` is not installed."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from numpy.typing import NDArray

from pipeline.copies import banks, exchange_lines, exchange_manifest, exchange_sending
from pipeline.copies.banks import RECORD, SOUND_RECORD
from pipeline.copies.chromaprint import ITEM_S
from pipeline.copies.exchange_lines import Upload, id_of
from pipeline.copies.exchange_receiving import receive
from pipeline.errors import UserError
from tests.copies.test_banks import add
from tests.made import scene, write_video

pytest.importorskip("threatexchange", reason="needs the extra [exchange]")

from threatexchange.exchanges.fetch_state import (
    AggregateSignalOpinionCategory,
    SignalOpinion,
    SignalOpinionCategory,
)
from threatexchange.interface_validation import SignalTypeMapping
from threatexchange.signal_type.index import SignalTypeIndex
from threatexchange.signal_type.md5 import VideoMD5Signal
from threatexchange.signal_type.pdq.signal import PdqSignal

from pipeline.threatexchange_extension import TX_MANIFEST, DiscernExchange, DiscernVideoSignal
from pipeline.threatexchange_extension.exchange import BANK, DiscernCollabConfig
from pipeline.threatexchange_extension.segment_index import Segment, SegmentIndex

pytestmark = pytest.mark.slow

KEYS = {
    name: Ed25519PrivateKey.from_private_bytes(bytes(range(first, first + 32)))
    for first, name in enumerate(("us", "them"))
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the keys of both sides, and an exchange of three items."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    for name, key in KEYS.items():
        (tmp_path / f"{name}.pem").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (tmp_path / f"{name}.pub").write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
    with banks.writing(tmp_path / "banks", "b", create=True) as bank:
        for seed in (1, 2, 3):
            add(bank, seed, num_hashes=40)
    send(tmp_path)
    return tmp_path


def send(folder: Path) -> None:
    bank = banks.read(folder / "banks", "b")
    exchange_sending.send(bank, "them", folder / "theirs", KEYS["them"])


def signal_of(folder: Path, number: int) -> str:
    bank = banks.read(folder / "banks", "b")
    item = bank.items[number]
    hashes, sounds = bank.hashes_of(item), bank.sounds_of(item)
    known = item.sha256, item.md5
    upload = Upload(id_of(*known, hashes, sounds), "", *known, item.duration_s, hashes, sounds)
    return exchange_lines.prints_written(upload)


def without_bytes(signal: str, first: int, last: int) -> str:
    """A signal of some pictures of another, whose file is unknown."""
    told = json.loads(signal)
    shown = [one.split(",") for one in told["pictures"][first:last]]
    start_s = float(shown[0][2])
    told |= {
        "pictures": [f"{pdq},{q},{float(t) - start_s:.3f}" for pdq, q, t in shown],
        "mirrors": told["mirrors"][first:last],
        **{"sha256": "", "md5": "", "sounds": []},
    }
    return json.dumps(told)


@pytest.fixture
def collab(folder: Path) -> DiscernCollabConfig:
    return DiscernCollabConfig(
        name="THEM",
        api="discern",
        pull=str(folder / "theirs"),
        their_key=str(folder / "them.pub"),
        push=str(folder / "ours"),
        key=str(folder / "us.pem"),
        by="us",
    )


def test_a_query_names_the_seconds_of_the_item_as_its_server_would_ask(folder: Path) -> None:
    # Hasher-Matcher-Actioner indexes the numbers of its own items, keeps the index as bytes, and
    # reads them by the base class, whatever class wrote them.
    signals = [signal_of(folder, number) for number in (1, 2, 3)]
    index: SegmentIndex[int] = DiscernVideoSignal.get_index_cls().build(
        [(signal, 10 * number) for number, signal in enumerate(signals, 1)]
    )
    kept = io.BytesIO()
    index.serialize(kept)
    kept.seek(0)
    again: SignalTypeIndex[int] = SignalTypeIndex.deserialize(kept)
    again.add(signals[0], 40)
    (found,) = again.query(DiscernVideoSignal.validate_signal_str(without_bytes(signals[1], 8, 28)))
    assert found.metadata == 20
    assert isinstance(found.similarity_info, Segment)
    segment = found.similarity_info
    assert (segment.by, segment.start_s, segment.item_start_s) == ("pictures", 0.0, 2.0)
    assert segment.pretty_str() == "pictures:0.0-4.0s=2.0-6.0s,distance=0"
    both = again.query(signals[0])
    assert [(one.metadata, one.similarity_info.by) for one in both] == [
        (10, "bytes"),
        (40, "bytes"),
    ]
    assert again.query("") == []
    assert again.query(without_bytes(signals[2], 0, 3))[0].metadata == 30
    other = [without_bytes(one, 0, 9) for one in signals]
    assert DiscernVideoSignal.compare_hash(signals[0], other[0]).match
    assert not DiscernVideoSignal.compare_hash(signals[0], other[1]).match


def test_a_video_is_found_by_the_narrow_band_of_its_sound() -> None:
    narrow = np.zeros(100, SOUND_RECORD)
    narrow["time_ms"] = np.rint(np.arange(100) * ITEM_S * 1000)
    narrow["print"] = np.random.default_rng(5).integers(0, 2**32, 100)
    part = narrow[8:88].copy()
    part["time_ms"] -= part["time_ms"][0]
    index: SegmentIndex[int] = SegmentIndex()
    index.add(heard_as(narrow), 1)
    (found,) = index.query(DiscernVideoSignal.validate_signal_str(heard_as(part)))
    assert isinstance(found.similarity_info, Segment)
    segment = found.similarity_info
    assert (segment.by, segment.start_s, segment.distance) == ("sound", 0.0, 0.0)
    assert segment.item_start_s == pytest.approx(8 * ITEM_S, abs=0.01)


def heard_as(narrow: NDArray[Any]) -> str:
    """The signal of a video of which nothing but a narrow band is known."""
    none = np.zeros(0, RECORD), np.zeros(0, SOUND_RECORD)
    return exchange_lines.prints_written(Upload("", "", "", "", 12.0, *none, narrow))


def test_the_signal_type_is_one_that_threatexchange_takes() -> None:
    SignalTypeMapping(list(DiscernVideoSignal.get_content_types()), list(TX_MANIFEST.signal_types))
    for example in DiscernVideoSignal.get_examples():
        assert DiscernVideoSignal.validate_signal_str(example) == example
    for bad in ("", "x", "{}", "[1]", '{"sha256": "../x"}', "[" * 100_000):
        with pytest.raises(ValueError, match=r".+"):
            DiscernVideoSignal.validate_signal_str(bad)


def test_a_fetch_gives_what_is_new_and_what_is_gone(
    folder: Path, collab: DiscernCollabConfig
) -> None:
    api = DiscernExchange.for_collab(collab)
    (first,) = api.fetch_iter([DiscernVideoSignal], None)
    assert len(first.updates) == 3
    types = DiscernExchange.naive_convert_to_signal_type(
        [DiscernVideoSignal, VideoMD5Signal, PdqSignal], collab, first.updates
    )
    assert {kind.get_name(): len(found) for kind, found in types.items()} == {
        "discern_video": 3,
        "video_md5": 3,
    }
    assert signal_of(folder, 2) in types[DiscernVideoSignal]
    assert f"{2:032x}" in types[VideoMD5Signal]
    assert list(api.fetch_iter([DiscernVideoSignal], first.checkpoint)) == []
    with banks.writing(folder / "banks", "b") as bank:
        bank.remove(1)
        bank.judge(2, "them", "disputed")
        bank.label(3, "news item")
    send(folder)
    (second,) = api.fetch_iter([], pickle.loads(pickle.dumps(first.checkpoint)))
    assert sorted(map(str, second.updates.values()), key=len) == [
        "None",
        "NEGATIVE_CLASS label_2",
        "POSITIVE_CLASS news_item",
    ]
    kinds = {one.get_as_aggregate_opinion().category for one in second.updates.values() if one}
    assert AggregateSignalOpinionCategory.NEGATIVE_CLASS in kinds


def test_a_feed_that_is_not_the_one_before_is_refused(
    folder: Path, collab: DiscernCollabConfig
) -> None:
    api = DiscernExchange.for_collab(collab)
    (first,) = api.fetch_iter([], None)
    old = (folder / "theirs" / "manifest.jsonl").read_bytes()
    with banks.writing(folder / "banks", "b") as bank:
        bank.remove(1)
    send(folder)
    (second,) = api.fetch_iter([], first.checkpoint)
    (folder / "theirs" / "manifest.jsonl").write_bytes(old)
    with pytest.raises(UserError, match="older than what was taken, 1 deltas of 2"):
        list(api.fetch_iter([], second.checkpoint))
    (folder / "them.pub").write_bytes((folder / "us.pub").read_bytes())
    with pytest.raises(UserError, match="not signed with the key"):
        list(api.fetch_iter([], None))


def test_opinions_are_written_back_and_reach_the_sender(
    folder: Path, collab: DiscernCollabConfig
) -> None:
    api = DiscernExchange.for_collab(collab)

    def say(kind: type, signal: str, category: str, *tags: str) -> None:
        opinion = SignalOpinion(True, SignalOpinionCategory[category], set(tags))
        api.report_opinion(kind, signal, opinion)

    say(DiscernVideoSignal, signal_of(folder, 1), "POSITIVE_CLASS", "film")
    say(VideoMD5Signal, f"{2:032x}", "NEGATIVE_CLASS")
    say(VideoMD5Signal, "e" * 32, "POSITIVE_CLASS", "attack")
    say(VideoMD5Signal, "e" * 32, "POSITIVE_CLASS", "attack")
    told = receive(folder / "banks", "b", folder / "ours", KEYS["us"].public_key())
    assert (told.feed, told.num_deltas) == (f"us/{BANK}", 3)
    assert told.lines == {"label": 1, "opinion": 3, "upload": 1, "unknown": 0}
    found = banks.read(folder / "banks", "b")
    by = f"us/{BANK}"
    assert found.opinions[1] == {by: frozenset({"confirmed"})}
    assert found.opinions[2] == {by: frozenset({"disputed"})}
    assert found.opinions[4] == {by: frozenset({"confirmed", "uploaded"})}
    assert found.called[1] == {by: "film"}
    assert (found.items[4].md5, found.items[4].label) == ("e" * 32, "attack")
    with pytest.raises(NotImplementedError):
        say(PdqSignal, "0" * 64, "POSITIVE_CLASS")
    collab.push = ""
    with pytest.raises(NotImplementedError):
        say(VideoMD5Signal, "e" * 32, "NEGATIVE_CLASS")


@pytest.fixture
def tx(tmp_path: Path) -> Callable[..., str]:
    """The command line of threatexchange, with its state in the test's own folder."""
    program = Path(sys.executable).with_name("threatexchange")
    environment = {**os.environ, "TX_STATEDIR": str(tmp_path / "state")}

    def run(*words: str) -> str:
        done = subprocess.run(
            [program, *words], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_command_line_fetches_matches_labels_and_writes_back(
    folder: Path, tx: Callable[..., str]
) -> None:
    frames = np.concatenate([scene(n, 60, 120, 160) for n in range(3)])
    video = write_video(folder / "attack.mp4", frames, rate=15)
    copy = write_video(folder / "copy.mp4", frames[45:150], rate=15, options={"crf": "35"})
    signal = DiscernVideoSignal.hash_from_file(video)
    assert DiscernVideoSignal.hash_from_file(folder / "us.pem") == ""
    one = exchange_lines.prints_parsed(signal)
    with banks.writing(folder / "banks", "b") as bank:
        known = "attack.mp4", "attack", one.sha256, one.md5, one.duration_s
        bank.add(*known, one.hashes, one.sounds)
    send(folder)
    tx("config", "extensions", "add", "pipeline.threatexchange_extension")
    places = ["--pull", folder / "theirs", "--their-key", folder / "them.pub"]
    places += ["--push", folder / "ours", "--key", folder / "us.pem", "--by", "us"]
    tx("config", "collab", "edit", "discern", "--create", *map(str, places), "THEM")
    tx("fetch")
    assert "discern_video: 4\n" in tx("dataset")
    (line,) = tx("match", "-S", "discern_video", "video", str(copy)).splitlines()
    kind, where, collab, category, tags = line.split()
    assert (kind, collab, category, tags) == (
        *("discern_video", "(THEM)", "POSITIVE_CLASS", "attack"),
    )
    assert where.startswith("pictures:0.0-6.0s=3.0-9.0s,distance=")
    lines = tx("match", "video", str(video)).splitlines()
    assert {one.split()[0] for one in lines} == {"discern_video", "video_md5", "video_sha256"}
    told = folder / "signal.txt"
    told.write_text(signal)
    tx("label", "-l", "film", "-H", "discern_video", "THEM", "video", str(told))
    receive(folder / "banks", "b", folder / "ours", KEYS["us"].public_key())
    found = banks.read(folder / "banks", "b")
    assert found.opinions[4] == {f"us/{BANK}": frozenset({"confirmed"})}
    assert found.called[4] == {f"us/{BANK}": "film"}
    # What threatexchange has fetched from anybody comes into a bank with its tags.
    dataset = folder / "dataset.csv"
    dataset.write_text(tx("dataset", "-P", "--csv"))
    assert dataset.read_text().startswith("signal_type,signal_str,collab,category,tags\n")
    from pipeline.copies import hash_datasets

    read = list(hash_datasets.read(dataset, negative=False))
    assert [listed.tags for listed in read if len(listed.hashes) == len(one.hashes)] == [
        ("attack",)
    ]
    assert exchange_manifest.read(folder / "ours", KEYS["us"].public_key()).bank == BANK
