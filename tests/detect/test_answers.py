from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grimp
import numpy as np
import pytest

from pipeline.detect import scores
from pipeline.detect.answers import STAGE, Answers
from pipeline.detect.detector import CODE
from pipeline.store.finished_work import FinishedWork
from pipeline.store.packed_samples import Sample
from tests.assess import toy
from tests.test_project import CANNOT_CHANGE_OUTPUT, file_of


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[FinishedWork]:
    with FinishedWork(tmp_path, STAGE) as found:
        yield found


class Counted:
    """Gives an array, and counts how often."""

    def __init__(self, answer: np.ndarray) -> None:
        self.answer, self.times = answer, 0

    def __call__(self) -> np.ndarray:
        self.times += 1
        return self.answer


def test_an_answer_is_made_once_and_found_by_all_that_decides_it(kept: FinishedWork) -> None:
    made = Counted(np.random.default_rng(0).random((3, 4)))
    for _ in range(2):
        found = Answers(kept, ["weights"]).of(["clip", 1], made)
        assert (found == made.answer).all()
        assert found.dtype == made.answer.dtype
    assert made.times == 1
    Answers(kept, ["other weights"]).of(["clip", 1], made)
    Answers(kept, ["weights"]).of(["clip", 2], made)
    assert made.times == 3


def test_nothing_is_kept_of_an_empty_question_or_without_a_place(kept: FinishedWork) -> None:
    made = Counted(np.zeros(2))
    for answers in (Answers(kept, ["weights"]), Answers()):
        answers.of([], made)
    Answers().of(["clip"], made)
    Answers().of(["clip"], made)
    assert made.times == 4


@pytest.mark.parametrize("damage", [b"", b"\0" * 60, None])
def test_a_damaged_answer_is_made_anew(
    kept: FinishedWork, tmp_path: Path, damage: bytes | None
) -> None:
    made = Counted(np.arange(4.0))
    Answers(kept).of(["clip"], made)
    (path,) = (path for path in (tmp_path / "kept" / STAGE).rglob("*") if path.is_file())
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if damage is None else damage)
    assert (Answers(kept).of(["clip"], made) == made.answer).all()
    assert made.times == 2
    assert path.read_bytes() == data


class Model:
    """Looks at pixels, and counts the clips that it was asked about."""

    def __init__(self) -> None:
        self.num_clips = 0

    def __call__(self, clips: np.ndarray, sounds: np.ndarray) -> np.ndarray:
        self.num_clips += len(clips)
        first = clips.reshape(len(clips), -1)[:, :4].astype(float) + 1
        # What stood beside a clip shows in its last bits, as in a network.
        first *= 1 + 1e-9 * clips.sum()
        return first / first.sum(axis=1, keepdims=True)


def test_scores_are_the_same_with_all_some_and_no_answers_kept(kept: FinishedWork) -> None:
    table = toy.clips()
    samples = [f"{row:064x}" for row in range(table.num_rows)]
    reads: list[int] = []

    def read(row: int) -> Sample:
        reads.append(row)
        return toy.clip(row)

    def predict(model: Model, answers: Answers | None, samples: list[str]) -> object:
        found = scores.predict(table, read, model, batch_size=16, samples=samples, answers=answers)
        return found[0].tolist(), found[1]

    models = [Model() for _ in range(4)]
    alone = predict(models[0], None, samples)
    answers = Answers(kept)
    assert predict(models[1], answers, samples) == alone
    reads.clear()
    assert predict(models[2], answers, samples) == alone
    assert (models[1].num_clips, models[2].num_clips) == (table.num_rows, 0)
    assert not reads
    # A clip that is another is asked about with its batch, and no other batch is.
    changed = [*samples[:20], "f" * 64, *samples[21:]]
    assert predict(models[3], answers, changed) == alone
    assert models[3].num_clips == 16


class Looked(Answers):
    """Counts how often it is looked for an answer."""

    def __init__(self, kept: FinishedWork) -> None:
        super().__init__(kept)
        self.times = 0

    def get(self, asked: Sequence[Any]) -> np.ndarray | None:
        self.times += 1
        return super().get(asked)


def test_an_answer_that_is_not_kept_is_looked_for_once(kept: FinishedWork) -> None:
    answers, model = Looked(kept), Model()

    def asked(numbers: range) -> list[Any]:
        return ["made", *numbers]

    def ask() -> np.ndarray:
        return scores.answered(10, toy.clip, model, asked, batch_size=4, answers=answers)

    said = ask()
    assert (answers.times, model.num_clips) == (3, 10)
    assert (ask() == said).all()
    assert (answers.times, model.num_clips) == (6, 10)


def test_every_clip_is_looked_at_in_order_though_its_answer_is_kept(kept: FinishedWork) -> None:
    answers, model = Answers(kept), Model()
    seen: list[int] = []
    for _ in range(2):
        scores.answered(
            *(10, toy.clip, model, list),
            batch_size=4,
            answers=answers,
            observe=lambda number, sample: seen.append(number),
        )
    assert seen == [*range(10), *range(10)]
    assert model.num_clips == 10


def test_the_code_that_decides_answers_is_all_that_a_detector_imports() -> None:
    graph = grimp.build_graph("pipeline", cache_dir=None)
    reached: set[str] = set()
    queue = ["pipeline.detect.detector", "pipeline.store.packed_samples", "pipeline.store.shards"]
    while queue:
        module = queue.pop()
        if module not in reached | CANNOT_CHANGE_OUTPUT:
            reached.add(module)
            queue += graph.find_modules_directly_imported_by(module)
    files = {file_of(module).removeprefix("pipeline/") for module in reached}
    missing = {f for f in files if not any(f == one or f.startswith(f"{one}/") for one in CODE)}
    assert missing <= {"learn/__init__.py", "detect/__init__.py", "store/provenance.py"}
