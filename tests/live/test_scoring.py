from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.detect.clips import of_ingested, play
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, write_index
from pipeline.learn import weights
from pipeline.learn.networks.product import product_of
from pipeline.live.decoder import DecodingTask, decoded
from pipeline.live.messages import StreamClip
from pipeline.live.scoring import StreamScorer
from pipeline.stages import ingest
from tests.learn.encoders.tiny import checkpoint_origin
from tests.learn.networks.nets import FRAMEWISE, small_flash, small_framewise
from tests.learn.networks.sounds import hearing
from tests.learn.toy import FORMAT
from tests.live.made import LIMITS, MEMORY, write_footage, write_model


def clips(path: Path) -> list[StreamClip]:
    messages = decoded(DecodingTask(path, FORMAT, LIMITS, 4096), None)
    return [one for one in messages if isinstance(one, StreamClip)]


def collection(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "footage" / "made"
    folder.mkdir(parents=True)
    paths = [
        write_footage(folder / f"{seed}.mp4", length, seed=seed)
        for seed, length in ((1, 80), (2, 150))
    ]
    rows = [
        IndexRow(path=path.name, origin="real", source="s", discharge=False, licence="CC0-1.0")
        for path in paths
    ]
    write_index(folder, rows)
    return paths


@pytest.mark.parametrize("memory", [None, MEMORY], ids=["alone", "with a memory"])
def test_scores_are_those_of_the_evaluation(
    tmp_path: Path, compose: Callable[..., Any], memory: Any
) -> None:
    paths = collection(tmp_path)
    overrides = [f"clip.num_frames={FORMAT.num_frames}", f"clip.size={FORMAT.size}"]
    ingest.run(compose("ingest", *overrides, f"stride_frames={FORMAT.num_frames}"))
    detector = Detector.load(write_model(tmp_path / "models", memory))
    table, _ = play(detector, of_ingested(tmp_path / "clips"))
    scorer = StreamScorer(detector)
    watched = {path.name: clips(path) for path in paths}
    found: dict[str, list[float]] = {name: [] for name in watched}
    for number in range(max(map(len, watched.values()))):
        # Both are asked about together for as long as there are two.
        now = {name: own[number] for name, own in watched.items() if number < len(own)}
        for name, answer in scorer.score(now).items():
            found[name].append(answer.score)
    for path in paths:
        rows = [row for row in table.to_pylist() if row["path"] == path.name]
        expected = [row["stream_score"] for row in sorted(rows, key=lambda row: row["start_s"])]
        # Ingest leaves out what is left of a file that is shorter than a clip.
        assert len(expected) in (len(found[path.name]), len(found[path.name]) - 1)
        np.testing.assert_allclose(found[path.name][: len(expected)], expected, atol=1e-5)
        assert np.ptp(expected) > 1e-3


def test_sound_has_its_say(tmp_path: Path) -> None:
    network = product_of(small_flash(), checkpoint_origin(tmp_path / "dino"), hearing()).eval()
    weights.save(tmp_path, network, clip=FORMAT, temperature=1.0, provenance={})
    detector = Detector.load(tmp_path)
    shown = clips(write_footage(tmp_path / "a.mp4", 60))
    scorer, stream = StreamScorer(detector), detector.stream(1)
    for one in shown:
        expected = stream.last_clips(one.frames[None], one.sound[None])[0, -1]
        answer = scorer.score({"a": one})["a"]
        assert answer.p_real == pytest.approx(expected[[0, 2]].sum(), abs=1e-5)
    seen = scorer.seen(shown[-1], answer)
    expected = detector.predict(shown[-1].frames[None])[0]
    assert seen.p_discharge == pytest.approx(expected[:2].sum(), abs=1e-5)
    assert seen.p_discharge != pytest.approx(answer.p_discharge, abs=1e-3)
    assert seen.p_real == pytest.approx(answer.p_real, abs=1e-3)


def test_a_stream_that_begins_anew_knows_nothing_of_before(tmp_path: Path) -> None:
    detector = Detector.load(write_model(tmp_path / "models"))
    shown = clips(write_footage(tmp_path / "a.mp4", 120))
    scorer = StreamScorer(detector)
    fresh = scorer.score({"fresh": shown[2]})["fresh"]
    for one in shown[:2]:
        scorer.score({"a": one, "b": one})
    scorer.restart("a")
    answers = scorer.score({"a": shown[2], "b": shown[2]})
    assert answers["a"].score == pytest.approx(fresh.score, abs=1e-6)
    assert abs(answers["b"].score - fresh.score) > 1e-4


def test_memory_does_not_grow(tmp_path: Path) -> None:
    scorer = StreamScorer(Detector.load(write_model(tmp_path / "models")))
    shown = clips(write_footage(tmp_path / "a.mp4", 60))
    sizes = set()
    for one in shown * 3:
        scorer.score({"a": one})
        past = scorer._pasts["a"]
        tensors = [*past.state.values(), *past.memory.values()]
        sizes.add(sum(one.untyped_storage().nbytes() for one in tensors))
    assert len(sizes) == 1


def test_a_detector_of_whole_clips_is_refused(tmp_path: Path) -> None:
    weights.save(tmp_path, small_framewise(), clip=FORMAT, temperature=1.0, provenance={})
    with pytest.raises(UserError, match="answer for whole clips only"):
        StreamScorer(Detector.load(tmp_path, trusted_factory=FRAMEWISE))
