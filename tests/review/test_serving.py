"""The page of a review as a browser asks for it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from pipeline.review.record import Record
from pipeline.store import executor
from tests.review.made import decision
from tests.review.shown import NUM_FILES, page_of, reviewed


class Asked:
    """A page, and who asks for it."""

    def __init__(self, folder: Path, compose: Callable[..., Any], token: str | None = None) -> None:
        self.record: Record = reviewed(folder)
        page = page_of(self.record, folder, compose, token)
        self.client = TestClient(page.application(), base_url="http://127.0.0.1:8766")

    def post(self, path: str, who: str = "Ada", **values: Any) -> Any:
        # The client's own JSON cannot hold half of a surrogate pair, as that of a browser can.
        content, kind = json.dumps({"who": who, **values}), {"Content-Type": "application/json"}
        return self.client.post(path, content=content, headers=kind)

    def next(self, who: str = "Ada", **values: Any) -> Any:
        return self.post("/next", who, **values).json()

    def decide(self, name: str, who: str = "Ada", **changes: Any) -> Any:
        values = {"origin": "real", "discharge": "yes", "discharges_s": [2.4], "note": ""}
        return self.post(f"/tasks/{name}/decision", who, **{**values, **changes})


def here(work: Callable[[Any], Any], blocks: Any, *_: Any, **__: Any) -> Iterator[list[Any]]:
    """Works in this process, where a sandbox would take seconds to begin."""
    return ([work(item) for item in block] for block in blocks)


@pytest.fixture
def asked(
    tmp_path: Path, compose: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Asked]:
    monkeypatch.setattr(executor, "map_blocks", here)
    found = Asked(tmp_path, compose)
    with found.client:
        yield found


def image_of(uri: str) -> np.ndarray:
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_text_comes_first_and_shows_nothing(asked: Asked) -> None:
    said = asked.next()
    task = said["task"]
    assert said["left"] == NUM_FILES + 1
    assert task["brief"][0] == "A video of 4 s."
    assert "raised an alert; its score is 0.90" in task["brief"][1]
    assert "expects a firearm to be fired, which can be heard" in task["brief"][2]
    assert "data:" not in asked.post("/next").text
    assert asked.record.exposures("Ada") == {}
    for path in ("/", "/review.js", "/review.css"):
        text = asked.client.get(path).text
        assert "http" not in text
    policy = asked.client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")


def test_a_session_goes_from_task_to_task_and_ends(asked: Asked) -> None:
    seen = []
    while (task := asked.next()["task"]) is not None:
        seen.append(task["name"])
        assert asked.decide(task["name"]).status_code == 200
    assert len(seen) == len(set(seen)) == NUM_FILES + 1
    assert asked.next("Bo")["task"] is None
    (found,) = asked.record.decisions()[seen[0]]
    assert (found.who, found.by, found.discharges_s) == ("Ada", "page", (2.4,))
    assert found.weights_sha256 == "a" * 64
    again = asked.post(f"/tasks/{seen[0]}").json()
    assert again["task"]["name"] == seen[0]


def test_what_is_skipped_is_left_for_later_and_others_are_told_of_afterwards(asked: Asked) -> None:
    first = asked.next()["task"]["name"]
    second = asked.next(skipped=[first])["task"]["name"]
    assert second != first
    many = [first, *(f"{number:016x}" for number in range(5000))]
    assert asked.next(skipped=many)["task"]["name"] == second
    asked.record.decide([decision(first, "Bo\n")])
    assert "Bo" not in asked.post(f"/tasks/{first}").text
    said = asked.decide(first, discharge="no", discharges_s=[]).json()
    assert said["others"] == ["Bo\\u000a: real, discharge yes at 2.50 s"]


def test_what_is_no_decision_is_refused(asked: Asked) -> None:
    name = asked.next()["task"]["name"]
    unknown, no_second = "say of the origin and of the discharge", "is no second of the video"
    for changes, said in (
        ({"origin": "cat"}, unknown),
        ({"origin": ["real"]}, unknown),
        ({"discharge": ["yes"]}, unknown),
        ({"discharge": "no"}, "there are times, and no discharge"),
        ({"discharges_s": [99]}, no_second),
        ({"discharges_s": [True]}, no_second),
        ({"discharges_s": ["2"]}, no_second),
        ({"discharges_s": "2"}, "give times of discharges as a list"),
        ({"discharges_s": [10**400]}, no_second),
        ({"note": "a" * 501}, "write a note of at most 500 characters"),
        ({"note": "\ud800"}, "write a note of at most 500 characters"),
        ({"who": " "}, "say who you are"),
        ({"who": "a" * 81}, "say who you are"),
        ({"who": "a\0b"}, "say who you are"),
        ({"who": "\ud800"}, "send decision and who"),
    ):
        answer = asked.decide(name, **changes)
        assert answer.status_code == 400
        assert said in answer.json()["error"]
    assert asked.record.decisions() == {}


def test_stills_and_seconds_are_protected_and_counted(asked: Asked) -> None:
    name = asked.next()["task"]["name"]
    stills = asked.post(f"/tasks/{name}/stills").json()
    assert len(stills["pictures"]) == 2
    assert image_of(stills["pictures"][0]).shape == (96, 288)
    protected = asked.post(f"/tasks/{name}/protected", moment=0).json()
    # From 1.5 to 3.5 s at 15 a second, from the picture that is on the screen then.
    assert protected["start_s"] == 22 / 15
    assert len(protected["pictures"]) == 31
    assert protected["sound"] is None
    assert image_of(protected["pictures"][0]).shape == (96, 96)
    clear = asked.post(f"/tasks/{name}/clear", moment=0).json()
    assert image_of(clear["pictures"][0]).shape == (96, 160, 3)
    sound = asked.post(f"/tasks/{name}/sound", moment=1).json()["sound"]
    wav = base64.b64decode(sound.removeprefix("data:audio/wav;base64,"))
    # A second at 24 kHz, as the file begins with it: half a second and half a second after.
    assert len(wav) == 44 + 2 * 24_000
    assert asked.record.exposures("Ada") == {
        "stills": (1, 0.0),
        "protected seconds": (1, 31 / 15),
        "clear seconds": (1, 31 / 15),
        "sound": (1, 0.0),
    }
    assert "clear seconds 1 times, 2 s" in asked.next()["shown"]
    assert "nothing yet" in asked.next("Bo")["shown"]


def test_what_cannot_be_shown_says_why(asked: Asked, tmp_path: Path) -> None:
    gone = asked.record.places()[-1][2].name
    answer = asked.post(f"/tasks/{gone}/stills")
    assert (answer.status_code, asked.record.exposures("Ada")) == (404, {})
    assert "cannot be read here" in answer.json()["error"]
    assert asked.post("/tasks/nothing/stills").status_code == 404
    assert asked.post(f"/tasks/{gone}/protected", moment=5).status_code == 400
    broken = asked.record.places()[0][2]
    (tmp_path / broken.uri).write_bytes(b"no video")
    answer = asked.post(f"/tasks/{broken.name}/stills").json()
    assert str(tmp_path) not in answer["error"]
    assert "; " in answer["error"]
    (tmp_path / broken.uri).unlink()
    answer = asked.post(f"/tasks/{broken.name}/stills").json()
    assert "give discern review serve root=FOLDER, the folder of its listing" in answer["error"]


def test_others_than_this_machine_need_the_token(
    tmp_path: Path, compose: Callable[..., Any]
) -> None:
    asked = Asked(tmp_path, compose, "long-enough-for-a-token")
    assert asked.post("/next").status_code == 401
    bearer = {"Authorization": "Bearer long-enough-for-a-token"}
    assert asked.client.post("/next", json={"who": "Ada"}, headers=bearer).status_code == 200
    foreign = {**bearer, "Origin": "http://evil.example"}
    assert asked.client.post("/next", json={"who": "Ada"}, headers=foreign).status_code == 403
