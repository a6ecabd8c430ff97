from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.commands import bank
from pipeline.commands.score.settings import _state
from pipeline.copies.banks import Bank
from pipeline.errors import UserError
from tests.commands.score.toy import scored, write_listing
from tests.conftest import compose_below
from tests.made import scene, write_video


def attack(seed: int = 0) -> np.ndarray:
    return np.concatenate([scene(100 * seed + n, 45, 96, 128) for n in range(2)])


def test_what_banks_know_is_told_before_anything_is_scored(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = project / "own"
    own.mkdir()
    known, harmless = attack(), attack(3)
    write_video(own / "known.mp4", known, rate=15)
    write_video(own / "harmless.mp4", harmless, rate=15)
    write_video(own / "copy.mp4", known[:, ::2, ::2], rate=15, options={"crf": "35"})
    within = np.concatenate([harmless, attack(5)])
    write_video(own / "partly-harmless.mp4", within, rate=15)
    write_video(own / "new.mp4", attack(7), rate=15)
    bank.run("add", "attacks", str(own / "known.mp4"), cfg=compose_below(project, "bank"))
    negative = compose_below(project, "bank", "negative=true")
    bank.run("add", "fine", str(own / "harmless.mp4"), cfg=negative)
    capsys.readouterr()

    data = (own / "known.mp4").read_bytes()
    sha256, md5 = hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest()
    uris = ["known.mp4", "harmless.mp4", "copy.mp4", "partly-harmless.mp4", "new.mp4"]
    # Of what is known by its hash nothing is fetched: there is no such bucket.
    uris += ["s3://no-such-bucket/known.mp4"] * 2
    hashes = {"sha256": [*[""] * 5, sha256, ""], "md5": [*[""] * 6, md5]}
    listing = write_listing(own / "listing.csv", uris, **hashes)
    found = scored(project, listing, "out", "banks=[attacks,fine]", "miss_rate=null")
    assert [(row["status"], row["step"]) for row in found] == [
        *[("matched", "hash")] * 3,
        *[("scored", "full")] * 2,
        *[("matched", "hash")] * 2,
    ]
    assert [(row["bank"], row["negative"], row["edit"]) for row in found] == [
        ("attacks", False, "same bytes"),
        ("fine", True, "same bytes"),
        ("attacks", False, "pictures"),
        *[(None, None, None)] * 2,
        *[("attacks", False, "same bytes")] * 2,
    ]
    assert found[2]["item"] == "1"
    assert found[2]["seconds"] == pytest.approx(6.0, abs=0.1)
    assert len(found[2]["pdq"]) == 6
    assert found[5]["sha256"] == sha256
    with pytest.raises(UserError, match="no bank 'other'"):
        scored(project, listing, "other", "banks=[other]")


def test_a_still_of_a_bank_is_found_as_match_finds_it(project: Path) -> None:
    own = project / "stills"
    own.mkdir()
    write_video(own / "shows.mp4", attack(11), rate=15)
    write_video(own / "new.mp4", attack(12), rate=15)
    # It is near nothing of a whole second.
    cv2.imwrite(str(own / "still.png"), attack(11)[23, ..., ::-1])
    bank.run("add", "posters", str(own / "still.png"), cfg=compose_below(project, "bank"))
    listing = write_listing(own / "listing.csv", ["shows.mp4", "new.mp4"])
    shows, new = scored(project, listing, "by-still", "banks=[posters]", "miss_rate=null")
    assert (shows["status"], shows["bank"], shows["edit"]) == ("matched", "posters", "still")
    assert len(shows["pdq"]) == 6
    assert new["status"] == "scored"


def test_another_verdict_on_an_item_is_another_bank() -> None:
    hashes, sounds = np.empty(0), np.empty(0)
    states = {
        _state(Bank("x", {}, hashes, sounds, opinions=opinions))
        for opinions in (
            {},
            {1: {"unit7": frozenset({"true"})}},
            {1: {"unit7": frozenset({"false"})}},
            {2: {"unit7": frozenset({"false"})}},
            {2: {"unit8": frozenset({"false"})}},
        )
    }
    assert len(states) == 5
