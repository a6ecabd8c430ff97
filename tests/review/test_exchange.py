"""What leaves to the tools of others and comes back as they would write it: the same frames."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pipeline.errors import UserError
from pipeline.review.agreement import Votes
from pipeline.review.exchange import coop, fiftyone, frames, label_studio, spreadsheet
from pipeline.review.exchange.entries import Entry, ExchangeTerms
from pipeline.review.record import Record
from pipeline.review.tasks import ALERT, QueuePlace, ReviewTask
from tests.review.made import decision, queued, row

FPS = 15.0
TERMS = ExchangeTerms(FPS, by="Bo")


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return queued(tmp_path, [row(n) for n in range(20)])


def entries(record: Record) -> list[Entry]:
    votes = Votes.of(record, 0.05)
    return [
        Entry(q, place, task, votes.of_task(task.name), votes.num_asked(place))
        for q, place, task in record.places()
    ]


def tasks(record: Record) -> dict[str, ReviewTask]:
    return {task.name: task for _, _, task in record.places()}


@pytest.mark.parametrize("frame", [0, 1, 7, 14, 15, 29, 100, 899, 5399, 107_999])
def test_a_frame_is_the_same_after_a_round_trip(frame: int) -> None:
    start_s, end_s = frame / FPS, (frame + 1) / FPS
    assert frames.range_of(start_s, end_s, FPS) == (frame + 1, frame + 1)
    assert frames.start_of(frame + 1, frame + 1, FPS) == start_s
    # As an index writes it, with four digits.
    assert frames.range_of(round(start_s, 4), round(end_s, 4), FPS) == (frame + 1, frame + 1)
    assert frames.range_of(start_s, start_s, FPS) == (frame + 1, frame + 1)


class LabelStudio:
    """What a person does there: keep what is predicted, and give it a verdict."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tasks: list[dict[str, Any]] = json.loads(path.read_text())

    def annotate(self, place: int, first: int, last: int, **changes: Any) -> None:
        ranges = {"ranges": [{"start": first, "end": last}], "timelinelabels": ["discharge"]}
        chosen = [
            {"from_name": name, "to_name": "video", "type": "choices", "value": {"choices": [word]}}
            for name, word in (("origin", "real"), ("discharge", "yes"))
        ]
        timeline = {"from_name": "videoLabels", "to_name": "video", "type": "timelinelabels"}
        annotation = {
            "id": 7,
            "completed_by": {"id": 3, "email": "ada@example.org"},
            "was_cancelled": False,
            "ground_truth": False,
            "lead_time": 12.5,
            "created_at": "2026-11-30T03:00:00Z",
            "result": [{**timeline, "value": ranges}, *chosen],
        }
        self.tasks[place]["annotations"] = [annotation | changes]

    def save(self) -> Path:
        exported = [task for task in self.tasks if "annotations" in task]
        self.path.write_text(json.dumps(exported))
        return self.path


class TestLabelStudio:
    def write(self, record: Record, folder: Path) -> LabelStudio:
        label_studio.write(folder / "tasks.json", entries(record), TERMS)
        return LabelStudio(folder / "tasks.json")

    def test_predictions_are_frames_that_count_from_one(
        self, record: Record, tmp_path: Path
    ) -> None:
        task = self.write(record, tmp_path).tasks[0]
        (prediction,) = task["predictions"]
        # From 2 to 4 s: frame 31 is the first that is shown from 2 s on, frame 60 ends at 4 s.
        assert prediction["result"][0]["value"]["ranges"] == [{"start": 31, "end": 60}]
        assert prediction["model_version"] == "discern-aaaaaaaaaaaa"
        assert task["data"]["fps"] == FPS
        text = (tmp_path / "tasks.xml").read_text()
        assert 'frameRate="$fps"' in text
        assert '<Label value="discharge"/>' in text

    def test_what_the_tool_was_given_is_told_from_what_it_exports(
        self, record: Record, tmp_path: Path
    ) -> None:
        self.write(record, tmp_path)
        with pytest.raises(UserError, match="none of its tasks has annotations; give what Label"):
            label_studio.read(tmp_path / "tasks.json", tasks(record), TERMS)

    def test_predicted_stretches_tell_a_time_only_where_they_were_changed(
        self, record: Record, tmp_path: Path
    ) -> None:
        studio = self.write(record, tmp_path)
        for place in range(3):
            (predicted,) = studio.tasks[place]["predictions"]
            studio.annotate(place, 45, 45, result=[dict(one) for one in predicted["result"]])
            result = studio.tasks[place]["annotations"][0]["result"]
            result[1:] = [one for one in result[1:] if one["from_name"] != "origin"]
            chosen = {"from_name": "origin", "type": "choices", "value": {"choices": ["real"]}}
            result.append(chosen)
            for one in result[1:-1]:
                one["value"] = {"choices": ["yes"]}
        del studio.tasks[1]["annotations"][0]["result"][0]["origin"]
        moved = studio.tasks[2]["annotations"][0]["result"][0]
        moved["origin"] = "prediction-changed"
        moved["value"]["ranges"] = [{"start": 32, "end": 60}]
        found = label_studio.read(studio.save(), tasks(record), TERMS)
        assert [one.discharges_s for one in found] == [(), (), (2.0667,)]
        assert {(one.origin, one.discharge) for one in found} == {("real", True)}

    @pytest.mark.parametrize(("first", "time_s"), [(1, 0.0), (31, 2.0), (32, 2.0667)])
    def test_what_comes_back_is_at_the_frame_that_was_marked(
        self, record: Record, tmp_path: Path, first: int, time_s: float
    ) -> None:
        studio = self.write(record, tmp_path)
        studio.annotate(0, first, first + 3)
        (found,) = label_studio.read(studio.save(), tasks(record), TERMS)
        # One frame off, as with frames that count from 0, would be 0.0667 s off.
        assert found.discharges_s == (time_s,)
        assert (found.origin, found.discharge, found.who) == ("real", True, "ada@example.org")
        assert frames.range_of(time_s, time_s, FPS)[0] == first

    def test_annotators_by_number_and_cancelled_ones(self, record: Record, tmp_path: Path) -> None:
        studio = self.write(record, tmp_path)
        studio.annotate(0, 31, 31, completed_by=3)
        studio.annotate(1, 31, 31, was_cancelled=True)
        (found,) = label_studio.read(studio.save(), tasks(record), TERMS)
        assert found.who == "label_studio:3"

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda s: s.annotate(0, 0, 3), "frames 0 to 3, which count from 1"),
            (lambda s: s.annotate(0, 9, 3), "frames 9 to 3"),
            (lambda s: s.annotate(0, 400, 401), r"26\.60 s is after the end of the file"),
            (lambda s: s.annotate(0, 1, 1, result=[]), "origin '' is none of real, game"),
            (lambda s: s.tasks[0]["data"].update(task="x"), "'x' is no task"),
            (lambda s: s.tasks[0].update(annotations=[{}]), "is not as the tool writes it"),
            (lambda s: s.annotate(0, 10**400, 10**400), "OverflowError"),
            (lambda s: s.annotate(0, True, 3), "frames True to 3"),
            (lambda s: s.tasks[0]["data"].update(fps=float("inf")), "fps inf"),
            (lambda s: s.tasks[0]["data"].update(fps=True), "fps True"),
            (lambda s: s.annotate(0, 1, 1, completed_by="\ud800"), r"who decided is '\\ud800'"),
            (lambda s: s.annotate(0, 1, 1, completed_by="a" * 10**5), "in 1 to 80 characters"),
            (lambda s: s.annotate(0, 1, 1, completed_by="a\0b"), r"who decided is 'a\\u0000b'"),
            (lambda s: s.tasks[0]["data"].update(task="\ud800"), r"'\\ud800' is no task"),
        ],
    )
    def test_a_mistake_has_the_whole_refused(
        self,
        record: Record,
        tmp_path: Path,
        change: Callable[[LabelStudio], None],
        said: str,
    ) -> None:
        studio = self.write(record, tmp_path)
        studio.annotate(0, 31, 31)
        studio.annotate(1, 31, 31)
        change(studio)
        with pytest.raises(UserError, match=said) as error:
            label_studio.read(studio.save(), tasks(record), TERMS)
        assert "nothing was imported" in str(error.value)
        studio.path.write_text("{}")
        with pytest.raises(UserError, match="its JSON is no list"):
            label_studio.read(studio.path, tasks(record), TERMS)

    def test_tasks_are_not_called_as_their_interface_is(
        self, record: Record, tmp_path: Path
    ) -> None:
        for name in ("x.xml", "x.XML"):
            with pytest.raises(UserError, match=r"give a name that ends with \.json"):
                label_studio.write(tmp_path / name, entries(record), TERMS)
        assert not list(tmp_path.glob("x.*"))


class TestFiftyOne:
    def write(self, record: Record, folder: Path) -> dict[str, Any]:
        fiftyone.write(folder / "set", entries(record), TERMS)
        found: dict[str, Any] = json.loads((folder / "set" / "labels.json").read_text())
        return found

    def read(self, record: Record, folder: Path, labels: dict[str, Any]) -> list[Any]:
        (folder / "set" / "labels.json").write_text(json.dumps(labels))
        return fiftyone.read(folder / "set", tasks(record), TERMS)

    def test_what_another_decided_is_not_taken_over(self, record: Record, tmp_path: Path) -> None:
        names = [task.name for _, _, task in record.places()]
        for name in names[:4]:
            record.decide([decision(name, "Ada", discharges_s=(0.0, 2.0667))])
        told = self.write(record, tmp_path)
        # To the nearest frame of a video of 30 a second, as FiftyOne keeps times.
        told["labels"][names[0]][3]["timestamps"] = [2.05, 2.1]
        told["labels"][names[1]][3]["timestamps"] = [2.2, 2.3]
        del told["labels"][names[2]][3]
        told["labels"][names[3]] = [
            {**told["labels"][names[3]][0], "label": "origin_game"},
            {"label": "discharge_no", "timestamps": [0, 12]},
        ]
        moved, fewer, other = self.read(record, tmp_path, told)
        assert (moved.task, moved.who, moved.discharges_s) == (names[1], "Bo", (0.0, 2.2))
        assert (fewer.task, fewer.discharges_s) == (names[2], (0.0,))
        assert (other.task, other.origin, other.discharge) == (names[3], "game", False)
        name = names[0]
        files = json.loads((tmp_path / "set" / "data.json").read_text())
        assert files[name] == record.places()[0][2].uri

    def test_support_is_frames_that_count_from_one(self, record: Record, tmp_path: Path) -> None:
        told = self.write(record, tmp_path)
        name = next(iter(told["labels"]))
        told["labels"][name] = [
            {"label": "origin_real", "support": [1, 180]},
            {"label": "discharge", "support": [31, 34], "attributes": {}},
        ]
        (found,) = self.read(record, tmp_path, told)
        assert (found.discharges_s, found.discharge) == ((2.0,), True)
        told["labels"][name][1]["support"] = [0, 3]
        with pytest.raises(UserError, match="frames 0 to 3, which count from 1"):
            self.read(record, tmp_path, told)
        for changes, said in (
            ({"support": [True, 3]}, "frames True to 3"),
            ({"support": [10**400, 10**400]}, "OverflowError"),
            ({"timestamps": [10**400, 10**400]}, "OverflowError"),
        ):
            told["labels"][name][1] = {"label": "discharge", **changes}
            with pytest.raises(UserError, match=said):
                self.read(record, tmp_path, told)

    def test_predictions_alone_decide_nothing(self, record: Record, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="holds no decision"):
            self.read(record, tmp_path, self.write(record, tmp_path))

    def test_a_mistake_has_the_whole_refused(self, record: Record, tmp_path: Path) -> None:
        told = self.write(record, tmp_path)
        names = list(told["labels"])
        real = {"label": "origin_real", "timestamps": [0, 1]}
        quiet = {"label": "discharge_no", "timestamps": [0, 1]}
        told["labels"][names[0]] = [real, quiet]
        told["labels"][names[1]] = [real, {**real, "label": "origin_game"}, quiet]
        told["labels"][names[2]] = [real, quiet, {"label": "discharge", "timestamps": [1, 2]}]
        told["labels"][names[3]] = [{**real, "label": "cat"}]
        with pytest.raises(UserError) as error:
            self.read(record, tmp_path, told)
        for said in (
            "3 mistakes",
            "(origin is game and real); mend it there, and",
            "has times, and discharge is no",
        ):
            assert said in str(error.value)
        with pytest.raises(UserError, match="give by=NAME"):
            fiftyone.read(tmp_path / "set", tasks(record), ExchangeTerms(FPS))


class TestCoop:
    KEY = rsa.generate_private_key(65537, 2048)

    def public(self, folder: Path) -> Path:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = self.KEY.public_key().public_bytes(serialization.Encoding.PEM, form)
        (folder / "coop.pem").write_bytes(pem)
        return folder / "coop.pem"

    def signed(self, body: dict[str, Any]) -> dict[str, str]:
        text = json.dumps(body)
        signature = self.KEY.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return {"signature": base64.b64encode(signature).decode(), "body": text}

    def body(self, task: str, **changes: Any) -> dict[str, Any]:
        values = {
            "item": {"id": task, "typeId": "discern_video"},
            "action": {"id": "a1", "name": "real_shooting"},
            "policies": [],
            "rules": [],
            "custom": {"discharges_s": [2.5]},
            "actorEmail": "ada@example.org",
            "actorNote": "seen twice",
        }
        return values | changes

    def read(self, record: Record, folder: Path, *lines: dict[str, str]) -> list[Any]:
        path = folder / "decisions.jsonl"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return coop.read(path, tasks(record), ExchangeTerms(FPS, key=self.public(folder)))

    def test_items_are_the_body_of_a_request(self, record: Record, tmp_path: Path) -> None:
        coop.write(tmp_path / "items.json", entries(record), ExchangeTerms(FPS, media="https://h/"))
        items = json.loads((tmp_path / "items.json").read_text())["items"]
        first = record.places()[0][2]
        assert (items[0]["id"], items[0]["typeId"]) == (first.name, "discern_video")
        assert items[0]["data"]["video"] == f"https://h/{first.uri}"

    def test_signed_decisions_are_taken(self, record: Record, tmp_path: Path) -> None:
        names = [task.name for _, _, task in record.places()]
        other = self.body(names[1], action={"id": "film_other"}, custom=None, actorNote=None)
        lines = [self.signed(self.body(names[0])), self.signed(other)]
        one, two = self.read(record, tmp_path, *lines)
        assert (one.origin, one.discharges_s, one.who) == ("real", (2.5,), "ada@example.org")
        assert one.note == "seen twice"
        assert (two.origin, two.discharge, two.discharges_s) == ("film", False, ())

    def test_a_note_may_hold_separators_of_lines(self, record: Record, tmp_path: Path) -> None:
        body = self.body(record.places()[0][2].name, actorNote="first\u2028second\x85third")
        text = json.dumps(body, ensure_ascii=False)
        signature = self.KEY.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        line = {"signature": base64.b64encode(signature).decode(), "body": text}
        path = tmp_path / "decisions.jsonl"
        path.write_text(f"{json.dumps(line, ensure_ascii=False)}\n", encoding="utf-8")
        (one,) = coop.read(path, tasks(record), ExchangeTerms(FPS, key=self.public(tmp_path)))
        assert one.note == "first\u2028second\x85third"

    def test_a_wrong_signature_has_the_whole_refused(self, record: Record, tmp_path: Path) -> None:
        name = record.places()[0][2].name
        good = self.signed(self.body(name))
        bad = {**good, "body": good["body"].replace("real_shooting", "game_other")}
        with pytest.raises(UserError, match="line 2: its signature is not of this body and key"):
            self.read(record, tmp_path, good, bad)
        with pytest.raises(UserError, match="line 1: its signature"):
            self.read(record, tmp_path, {**good, "signature": "no base64"})
        with pytest.raises(UserError, match="action 'remove' is none of real_shooting"):
            self.read(record, tmp_path, self.signed(self.body(name, action={"id": "remove"})))
        with pytest.raises(UserError, match="give key=FILE"):
            coop.read(tmp_path / "decisions.jsonl", {}, TERMS)


class TestSpreadsheet:
    def edited(self, record: Record, folder: Path, *rows: dict[str, str]) -> Path:
        """The exported file with its first rows changed, as a spreadsheet saves it."""
        path = folder / "queue.csv"
        spreadsheet.write(path, entries(record), ExchangeTerms(FPS))
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
        for line, change in zip(lines, rows, strict=False):
            line.update(change)
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, spreadsheet.COLUMNS)
            writer.writeheader()
            writer.writerows(lines)
        return path

    def test_decisions_come_back(self, record: Record, tmp_path: Path) -> None:
        name = record.places()[1][2].name
        record.decide([decision(name, "@ada", note="'=cmd()")])
        yes = {"origin": "Game", "discharge": "yes", "discharges_s": "2.5; 3", "who": "Cy"}
        one, two = spreadsheet.read(self.edited(record, tmp_path, yes), tasks(record), TERMS)
        assert (one.origin, one.discharges_s, one.who) == ("game", (2.5, 3.0), "Cy")
        assert (two.task, two.who, two.note) == (name, "@ada", "'=cmd()")
        text = (tmp_path / "queue.csv").read_text(encoding="utf-8-sig")
        assert ",'@ada,''=cmd()" in text
        assert record.decide([two]) == 0

    def test_a_row_is_there_for_each_who_is_still_asked(
        self, record: Record, tmp_path: Path
    ) -> None:
        places = [place for _, place, _ in record.places()]
        both = next(place for place in places if place.wanted == 2)
        alone = next(p for p in places if p.wanted == 1 and p.inclusion is None)

        def rows_of(place: QueuePlace) -> list[tuple[str, str, str]]:
            with self.edited(record, tmp_path).open(newline="", encoding="utf-8-sig") as file:
                rows = [row for row in csv.DictReader(file) if row["task"] == place.task]
            return [(row["asked"], row["decided_by"], row["who"]) for row in rows]

        assert rows_of(both) == [("2", "", "")] * 2
        assert rows_of(alone) == [("1", "", "")]
        record.decide([decision(both.task), decision(alone.task)])
        assert rows_of(both) == [("1", "Ada", "Ada"), ("1", "Ada", "")]
        assert rows_of(alone) == [("0", "Ada", "Ada")]
        # One who fills in the empty rows alone is the second.
        path = self.edited(record, tmp_path)
        text = path.read_text(encoding="utf-8-sig").splitlines()
        header = text[0].split(",")
        of_both = [line.split(",") for line in text[1:] if line.startswith(both.task)]
        (empty,) = (cells for cells in of_both if not cells[header.index("who")])
        for name, value in (("origin", "film"), ("discharge", "no"), ("who", "Bo")):
            empty[header.index(name)] = value
        path.write_text(f"{text[0]}\n{','.join(empty)}\n", encoding="utf-8-sig")
        record.decide(spreadsheet.read(path, tasks(record), TERMS))
        assert {one.who for one in record.decisions()[both.task]} == {"Ada", "Bo"}

    def test_nobody_says_two_things_of_a_task(self, record: Record, tmp_path: Path) -> None:
        name = record.places()[0][2].name
        yes = {"task": name, "origin": "real", "discharge": "yes", "who": "Cy"}
        no = {**yes, "discharge": "no"}
        with pytest.raises(UserError, match="row 3: Cy says otherwise of it in row 2; leave one"):
            spreadsheet.read(self.edited(record, tmp_path, yes, no), tasks(record), TERMS)
        spreadsheet.read(self.edited(record, tmp_path, yes, yes), tasks(record), TERMS)
        two = self.edited(record, tmp_path, yes, {**no, "who": "Ada"})
        assert len(spreadsheet.read(two, tasks(record), TERMS)) == 2

    @pytest.mark.parametrize("name", ["1234567890123456", "12e4567890123456"])
    def test_a_spreadsheet_takes_no_name_of_a_task_for_a_number(
        self, record: Record, tmp_path: Path, name: str
    ) -> None:
        first = entries(record)[0]
        entry = replace(first, task=replace(first.task, name=name))
        path = tmp_path / "queue.csv"
        spreadsheet.write(path, [entry], ExchangeTerms(FPS, by="Bo"))
        with path.open(newline="", encoding="utf-8-sig") as file:
            (line,) = csv.DictReader(file)
        with pytest.raises(ValueError, match="could not convert"):
            # It would keep 15 digits, or take what is too large for it.
            float(line["task"])
        line |= {"origin": "film", "discharge": "no"}
        path.write_text(f"{','.join(line)}\n{','.join(line.values())}\n")
        (found,) = spreadsheet.read(path, {name: entry.task}, TERMS)
        assert (found.task, found.who) == (name, "Bo")

    @pytest.mark.parametrize("odd", ["clip\r", "a\rb", "a\r\nb", "a\nb", "a\0b", "\u2028", "=1"])
    def test_ids_and_notes_may_hold_any_letter(
        self, record: Record, tmp_path: Path, odd: str
    ) -> None:
        first = entries(record)[0]
        told = decision(first.task.name, note=odd)
        entry = replace(first, task=replace(first.task, id=odd, uri=odd), decisions=[told])
        spreadsheet.write(tmp_path / "all.csv", [entry], TERMS)
        (found,) = spreadsheet.read(tmp_path / "all.csv", tasks(record), TERMS)
        assert (found.task, found.who) == (told.task, told.who)
        assert found.note == odd.replace("\0", "\ufffd").strip()

    def test_times_of_an_alert_are_seconds(self, record: Record, tmp_path: Path) -> None:
        name, task = next(iter(tasks(record).items()))
        wrong = {"origin": "real", "discharge": "yes", "discharges_s": "9" * 400}
        path = self.edited(record, tmp_path, {**wrong, "task": name})
        alert = replace(task, kind=ALERT, seconds=None)
        with pytest.raises(UserError, match="row 2: has times that are no seconds"):
            spreadsheet.read(path, {**tasks(record), name: alert}, TERMS)

    def test_all_mistakes_are_told_at_once(self, record: Record, tmp_path: Path) -> None:
        path = self.edited(
            record,
            tmp_path,
            {"origin": "cat", "discharge": "yes"},
            {"origin": "real", "discharge": "yes", "discharges_s": "0:02"},
            {"origin": "real", "discharge": "maybe"},
            {"origin": "real", "discharge": "no"},
        )
        with pytest.raises(UserError) as error:
            spreadsheet.read(path, tasks(record), TERMS)
        for said in (
            "3 mistakes",
            "row 2: origin 'cat' is none of",
            "row 3: discharges_s '0:02' is no second",
            "row 4: discharge 'maybe' is none of",
        ):
            assert said in str(error.value)
