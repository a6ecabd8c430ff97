from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pipeline.commands import exchange
from pipeline.config import App
from pipeline.copies import banks, exchange_manifest, exchange_sending, peers
from pipeline.copies.exchange_manifest import MANIFEST, Delta, Manifest
from pipeline.errors import UserError
from tests.copies.test_banks import add
from tests.live import servers

KEYS = {
    name: Ed25519PrivateKey.from_private_bytes(bytes(range(first, first + 32)))
    for first, name in enumerate(("us", "them"))
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for name, key in KEYS.items():
        (tmp_path / "home" / f"{name}.pem").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (tmp_path / f"{name}.pub").write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )


class Side:
    """One of two that exchange."""

    def __init__(
        self, name: str, folder: Path, compose: Callable[..., App], read: Callable[[], Any]
    ) -> None:
        self.name, self.folder, self.root, self._read = name, folder, folder / name, read
        cfg: Any = compose("exchange")
        self._cfg = replace(
            cfg, paths=replace(cfg.paths, banks=str(self.root), work=str(folder / ".work"))
        )

    def run(self, *words: str, **settings: Any) -> list[str]:
        exchange.run(*words, cfg=replace(self._cfg, **settings))
        return self._read().out.splitlines()

    def add(self, *, pull: str = "", push: str = "", **more: Any) -> list[str]:
        other = "us" if self.name == "them" else "them"
        if pull:
            more |= {"pull": pull, "their_key": str(self.folder / f"{other}.pub")}
        if push:
            key = self.folder / "home" / f"{self.name}.pem"
            more |= {"push": push, "by": self.name, "key": str(key)}
        return self.run("add", other, "b", **more)

    def fails(self, *words: str, **settings: Any) -> str:
        """What is said of a peer with whom nothing can be exchanged."""
        with pytest.raises(UserError, match=rf"1 peer of 1 failed to {words[0]}"):
            self.run(*words, **settings)
        (line,) = self._read().err.splitlines()
        return str(line)


@pytest.fixture
def sides(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> tuple[Side, Side]:
    us, them = (Side(name, tmp_path, compose, capsys.readouterr) for name in ("us", "them"))
    with banks.writing(them.root, "b", create=True) as bank:
        for seed in (1, 2):
            add(bank, seed)
    return us, them


@pytest.fixture
def memory() -> Iterator[Any]:
    """Object storage."""
    found = fsspec.filesystem("memory")
    found.store.clear()
    yield found
    found.store.clear()


def whole(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def said(root: Path, number: int = 1) -> dict[str, set[str]]:
    return {by: set(what) for by, what in banks.read(root, "b").opinions[number].items()}


def test_a_peer_is_named_once_and_items_and_opinions_go_both_ways(
    sides: tuple[Side, Side], tmp_path: Path
) -> None:
    us, them = sides
    (tmp_path / "labels.csv").write_text("theirs,ours\nlabel 1,attack\n")
    theirs, ours = str(tmp_path / "theirs"), str(tmp_path / "ours")
    (told,) = us.add(pull=theirs, push=ours, labels=str(tmp_path / "labels.csv"))
    mark = exchange_manifest.fingerprint(KEYS["them"].public_key())
    assert told == (
        f"them: bank b; pulls from {theirs}, key {mark}; labels by {tmp_path}/labels.csv; "
        f"pushes to {ours} as us"
    )
    them.add(pull=ours, push=theirs)
    assert us.run("list") == [told]
    assert peers.read(us.root)["them"].key == "~/us.pem"
    before = whole(tmp_path)
    told_lines = them.run("push", dry_run=True)
    assert [line.split()[0] for line in told_lines[:2]] == ["upload", "upload"]
    assert told_lines[2] == f"{theirs}: 2 lines would be sent"
    assert {p: c for p, c in whole(tmp_path).items() if ".work" not in p} == before
    assert them.run("push") == [f"{theirs}: them/b, delta 1, key {mark}: 2 uploads"]
    taken = f"{theirs}: them/b, delta 1, key {mark}: 2 uploads"
    unmapped = f"{theirs}: 1 label that the mapping lacks, kept as it is: label 2 (1)"
    assert us.run("pull", dry_run=True) == [f"{taken}; nothing was changed", unmapped]
    assert us.run("pull", "them") == [taken, unmapped]
    found = banks.read(us.root, "b")
    assert [item.label for item in found.items.values()] == ["attack", "label 2"]
    assert us.run("pull") == [f"{theirs}: them/b, delta 1, key {mark}: nothing new"]

    with banks.writing(us.root, "b") as bank:
        bank.judge(1, "us", "disputed")
        bank.judge(1, "us", "seen")
    with banks.writing(them.root, "b") as bank:
        bank.judge(1, "them", "confirmed")
    assert us.run("push")[0].endswith(": 1 opinion")
    told = "conflict: b item 1 (1.mp4, label label 1): confirmed by them, and disputed by us/b"
    assert them.run("pull")[1:] == [told]
    assert them.run("show", "us")[1:] == [
        f"b: has 1 delta of us/b, key {exchange_manifest.fingerprint(KEYS['us'].public_key())}",
        told,
    ]
    assert said(them.root) == {"them": {"confirmed"}, "us/b": {"disputed", "seen"}}
    assert them.run("remove", "us") == ["us: removed; the bank b keeps what came from there"]
    assert them.run("list") == ["no peers"]


def test_what_others_call_an_item_stands_beside_its_label(
    sides: tuple[Side, Side], tmp_path: Path
) -> None:
    us, them = sides
    with banks.writing(us.root, "b", create=True) as bank:
        add(bank, 1)
        bank.label(1, "film")
    them.add(push=str(tmp_path / "theirs"))
    us.add(pull=str(tmp_path / "theirs"))
    them.run("push")
    told = "conflict: b item 1 (1.mp4, label film): called label 1 by them/b"
    assert us.run("pull")[1:] == [told]
    with banks.writing(them.root, "b") as bank:
        bank.label(1, "news")
    them.run("push")
    assert us.run("pull")[1:] == [told.replace("label 1 by", "news by")]
    assert [item.label for item in banks.read(us.root, "b").items.values()] == ["film", "label 2"]
    with banks.writing(them.root, "b") as bank:
        bank.remove(1)
    them.run("push")
    assert len(us.run("pull")) == 1
    assert us.run("show", "them")[-1] == "b: no conflict"


def test_an_exchange_in_object_storage_is_written_and_read(
    sides: tuple[Side, Side], tmp_path: Path, memory: Any
) -> None:
    us, them = sides
    place = "memory://bucket/theirs"
    them.add(push=place)
    us.add(pull=place)
    assert f"{place}/manifest.jsonl: no such object; nothing of it was taken" in us.fails("pull")
    assert them.run("push", dry_run=True)[-1] == f"{place}: 2 lines would be sent"
    assert not memory.store
    # Who was killed before the manifest was there left a delta that nobody reads.
    memory.pipe_file("/bucket/theirs/000001.jsonl", b"half")
    assert them.run("push")[0].startswith(f"{place}: them/b, delta 1, key")
    assert us.run("pull")[0].startswith(f"{place}: them/b, delta 1, key")
    assert len(banks.read(us.root, "b").items) == 2
    with banks.writing(them.root, "b") as bank:
        bank.remove(1)
    them.run("push")
    good = memory.cat_file("/bucket/theirs/000002.jsonl")
    for bad, why in (
        (good + b"x", f"000002.jsonl: more than the {len(good)} bytes that it may have"),
        (good[:-1], f"000002.jsonl: not the {len(good)} bytes that the manifest says"),
        (good.replace(b"delete", b"DELETE"), "000002.jsonl: not the bytes that the manifest says"),
        (good, ""),
    ):
        memory.pipe_file("/bucket/theirs/000002.jsonl", bad)
        if why:
            assert f"{place}/{why}; nothing of it was taken" in us.fails("pull")
        assert list(banks.read(us.root, "b").items) == [1, 2]
    # What was taken before is not fetched again.
    memory.rm_file("/bucket/theirs/000001.jsonl")
    assert us.run("pull")[0].endswith(": 1 deletion")
    assert list(banks.read(us.root, "b").items) == [2]
    us.run("remove", "them")
    us.add(pull=place)
    (us.root / "b").rename(tmp_path / "gone")
    assert "000001.jsonl: no such object" in us.fails("pull")
    memory.pipe_file("/bucket/other/video.mp4", b"x")
    them.run("remove", "us")
    them.add(push="memory://bucket/other")
    assert "memory://bucket/other: not empty, and no exchange" in them.fails("push")
    assert set(memory.store) == {
        *("/bucket/theirs/manifest.jsonl", "/bucket/theirs/000002.jsonl"),
        "/bucket/other/video.mp4",
    }


def test_who_writes_at_the_same_time_is_not_overwritten(
    sides: tuple[Side, Side], memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, them = sides
    them.add(push="memory://bucket/theirs")
    send = exchange_sending.send

    def late(*given: Any) -> Any:
        memory.pipe_file("/bucket/theirs/manifest.jsonl", b"of another machine")
        return send(*given)

    monkeypatch.setattr(exchange_sending, "send", late)
    assert "somebody else has written it meanwhile; nothing was sent" in them.fails("push")
    assert set(memory.store) == {"/bucket/theirs/manifest.jsonl"}


def served(server: servers.Server, folder: Path) -> None:
    for path in folder.iterdir():
        server.routes[f"/theirs/{path.name}"] = servers.body(path.read_bytes())


def test_an_exchange_of_a_web_server_is_read_within_limits(
    sides: tuple[Side, Side], tmp_path: Path
) -> None:
    us, them = sides
    folder = tmp_path / "theirs"
    them.add(push=str(folder))
    them.run("push")
    with servers.serving() as server:
        served(server, folder)
        url, open_to = server.url("/theirs"), {"allow_private": True}
        us.add(pull=url)
        where = f"http://127.0.0.1:{server.port}"
        # Neither this machine nor HTTP may be asked unless that is allowed.
        told = us.fails("pull")
        assert "the scheme is none of https; give its address by https, or allow_private=" in told
        us.run("remove", "them")
        us.add(pull=url.replace("http:", "https:"))
        assert "leads to an address that is not of the public internet" in us.fails("pull")
        us.run("remove", "them")
        us.add(pull=url)
        assert server.asked == []
        told = us.fails("pull", **open_to, max_mb=0.001)
        assert f"{where}: 0.002 MB are new, more than max_mb=0.001; nothing of it" in told
        (tmp_path / "home" / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
        (tmp_path / "home" / ".netrc").chmod(0o600)
        assert us.run("pull", **open_to)[0].startswith(f"{url}: them/b, delta 1")
        assert server.asked[-1] == ("/theirs/000001.jsonl", "Basic YTpi")
        with banks.writing(them.root, "b") as bank:
            bank.remove(1)
        them.run("push")
        served(server, folder)
        before = whole(us.root)
        good = server.routes["/theirs/000002.jsonl"]
        for bad, why in (
            (servers.body(b"x" * 10_000), r"000002.jsonl: more than the \d+ bytes that it may"),
            (servers.body(b"x"), r"000002.jsonl: not the \d+ bytes that the manifest says"),
            (servers.redirect("file:///etc/passwd"), r"file://\?/…: the scheme is none of https"),
            (servers.redirect("/none"), "000002.jsonl: .*HTTP 404"),
        ):
            server.routes["/theirs/000002.jsonl"] = bad
            told = us.fails("pull", **open_to)
            assert "nothing of it was taken" in told
            assert re.search(why, told)
            assert whole(us.root) == before
        server.routes["/theirs/000002.jsonl"] = lambda _: time.sleep(2)
        assert "cannot be fetched" in us.fails("pull", **open_to, timeout_s=0.5)

        def drop(handler: Any) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", "190")
            handler.end_headers()
            for _ in range(19):
                handler.wfile.write(b"x" * 10)
                handler.wfile.flush()
                time.sleep(0.2)

        server.routes["/theirs/000002.jsonl"] = drop
        assert "not all of it came within 0.3 s" in us.fails("pull", **open_to, limit_s=0.3)
        server.routes["/theirs/000002.jsonl"] = good
        assert us.run("pull", **open_to)[0].endswith(": 1 deletion")


def test_a_manifest_of_another_key_is_refused_before_a_delta_is_fetched(
    sides: tuple[Side, Side], tmp_path: Path
) -> None:
    us, _ = sides
    delta = Delta("0" * 64, 10**12, 1)
    with servers.serving() as server:
        us.add(pull=server.url("/theirs"))
        for key, why in (("us", "not signed with the key"), ("them", "1000000.000 MB are new")):
            manifest = Manifest("them", "b", "known", (delta,))
            signed = exchange_manifest.signed_lines(manifest, KEYS[key])
            server.routes[f"/theirs/{MANIFEST}"] = servers.body(signed)
            assert why in us.fails("pull", allow_private=True)
        assert {path for path, _ in server.asked} == {f"/theirs/{MANIFEST}"}
    assert banks.names(us.root) == []
    assert not list((tmp_path / ".work").glob("exchange-*"))


def test_a_list_is_pulled_from_a_file_or_a_server(sides: tuple[Side, Side], tmp_path: Path) -> None:
    us, _ = sides
    md5s = hashlib.md5(b"1").hexdigest() + "\n"
    (tmp_path / "md5.txt").write_text(md5s)
    us.run("add", "file", "b", pull=str(tmp_path / "md5.txt"), format="md5")
    with servers.serving() as server:
        server.routes["/md5.txt"] = servers.body((md5s + hashlib.md5(b"2").hexdigest()).encode())
        us.run("add", "web", "b", pull=server.url("/md5.txt"), format="md5")
        lines = us.run("pull", allow_private=True)
    assert lines[0] == f"{tmp_path}/md5.txt: 1 item of 1 different line of md5 added to {us.root}/b"
    assert "1 item of 2 different lines of md5 added" in lines[1]
    # A negative bank takes of a dataset what is harmless, and no other bank does.
    with banks.writing(us.root, "no", create=True) as bank:
        bank.make_negative()
    kinds = {"1": "POSITIVE_CLASS", "2": "NEGATIVE_CLASS"}
    rows = [f"video_md5,{one * 32},A,{kind},\n" for one, kind in kinds.items()]
    dataset = tmp_path / "dataset.csv"
    dataset.write_text("signal_type,signal_str,collab,category,tags\n" + "".join(rows))
    for name in ("no", "new"):
        us.run("add", name, name, pull=str(dataset), format="threatexchange")
    us.run("pull", "no", "new")
    assert [banks.read(us.root, name).items[1].md5[0] for name in ("no", "new")] == ["2", "1"]


def test_one_peer_that_fails_costs_no_other(
    sides: tuple[Side, Side], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    us, them = sides
    them.add(push=str(tmp_path / "theirs"))
    them.run("push")
    key = str(tmp_path / "them.pub")
    us.run("add", "a", "b", pull=str(tmp_path / "none"), their_key=key)
    us.run("add", "z", "b", pull=str(tmp_path / "theirs"), their_key=key)
    with pytest.raises(UserError, match="1 peer of 2 failed to pull"):
        us.run("pull")
    out, err = capsys.readouterr()
    assert out.startswith(f"{tmp_path}/theirs: them/b, delta 1")
    assert err.startswith(
        f"exchange: a: {tmp_path}/none/manifest.jsonl: no such file; the sender has pushed"
    )


def test_a_folder_that_cannot_be_written_costs_no_other_peer(
    sides: tuple[Side, Side], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, them = sides
    (tmp_path / "file").touch()
    for name, place in (("a", "file"), ("c", "file/below"), ("z", "theirs")):
        key = str(tmp_path / "home" / "them.pem")
        them.run("add", name, "b", push=str(tmp_path / place), by="them", key=key)
    with pytest.raises(UserError, match="2 peers of 3 failed to push"):
        them.run("push")
    out, err = capsys.readouterr()
    assert out.startswith(f"{tmp_path}/theirs: them/b, delta 1")
    assert [line.partition(f"{tmp_path}/")[2] for line in err.splitlines()] == [
        "file: File exists; give a folder that you may write to",
        "file/below: Not a directory; give a folder that you may write to",
    ]


def test_what_cannot_be_a_peer_is_named(sides: tuple[Side, Side]) -> None:
    us, _ = sides
    cases: list[tuple[tuple[str, ...], dict[str, Any], str]] = [
        (("take",), {}, "'take' is not understood; give exchange add NAME BANK, exchange list, "),
        (("add", "x"), {}, "'add x' is not understood; give exchange add NAME BANK$"),
        (("show", "x"), {}, r"no peer 'x' \(there are: none\)"),
        (("pull", "x"), {}, "no peer 'x'"),
        (("pull",), {}, r"no peer to pull; discern exchange add NAME BANK pull=… makes one"),
        (("add", "../x", "b"), {}, r"name=\.\./x: give name=NAME"),
        (("add", "x", "../b"), {}, "is no name of a bank"),
        (("add", "x", "b"), {}, "x: give pull=… to take what it says, push=… to tell it"),
        (("add", "x", "b"), {"pull": "f"}, "their_key=: give their_key=FILE"),
        (
            ("add", "x", "b"),
            {"pull": "f", "their_key": "gone"},
            "their_key=gone: no such file; give the peer's key of Ed25519",
        ),
        (("add", "x", "b"), {"push": "f"}, "by=: give by=NAME"),
        (("add", "x", "b"), {"push": "f", "by": "us"}, "key=: give key=FILE, your private key"),
        (("add", "x", "b"), {"push": "https://h/x"}, r"push=https://h/…: a web server is only"),
        (
            ("add", "x", "b"),
            {"pull": "https://a:b@h/x"},
            r"pull=https://h/…: a password or a query",
        ),
        (("add", "x", "b"), {"pull": "https://h/x?key=1"}, "a password or a query has no place"),
        (("add", "x", "b"), {"pull": "simplecache::http://h"}, "no chain of file systems"),
        (("add", "x", "b"), {"pull": "f", "format": "md5", "labels": "none"}, "none: No such file"),
    ]
    for words, settings, why in cases:
        with pytest.raises(UserError, match=why):
            us.run(*words, **settings)
    assert peers.read(us.root) == {}


def test_a_file_of_peers_that_is_damaged_is_named(sides: tuple[Side, Side]) -> None:
    us, _ = sides
    us.root.mkdir()
    good = {"name": "x", "bank": "b", "pull": "f", "their_key": "7"}
    for bad in (
        "{",
        "[]",
        json.dumps({**good, "more": "x"}),
        json.dumps({**good, "pull": 1}),
        json.dumps({**good, "name": "../x"}),
        json.dumps({"bank": "b"}),
        json.dumps(good) + "\n" + json.dumps(good),
    ):
        (us.root / peers.PEERS).write_text(bad + "\n")
        with pytest.raises(UserError, match=r"peers.jsonl, line [12]: no peer, or one twice"):
            us.run("list")
    (us.root / peers.PEERS).write_text(json.dumps(good) + "\n")
    assert "x: '7' is no key of 32 bytes; remove the peer" in us.fails("pull")
    with pytest.raises(UserError, match="x: there is such a peer; run discern exchange remove x"):
        us.run("add", "x", "b", pull="f", format="md5")
