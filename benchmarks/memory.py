"""What a stream should remember: ways to sum up what a detector says of long recordings.

    python benchmarks/memory.py
    python benchmarks/memory.py --models models --clips data/clips --synthetic data/synthetic

Plays the long recordings that `dvc repro` has ingested frame by frame, each as a stream. The origin
is told by layers that saw nothing of the source of a recording, nor of the photograph behind a
rendered one: they are fitted anew, as training does, for each source. Of each way to make a score
of what was said so far it tells how well the highest score in the 5 s after a real discharge ranks
above that of every 30 s without real gunfire (AUROC, and its difference to the last clip alone,
with intervals over recordings), and how many recordings of real shootings alert after their first
discharge, and how soon at the median, at the lowest threshold with so many false alerts. The rest
tells how sure the mean of the origin may be: the mean loss of what it says at every second, by
`lasting`, balanced over real and fictional and over recordings.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write
from sklearn.metrics import roc_auc_score
from torch import Tensor
from tqdm import tqdm

from pipeline import app
from pipeline.config import TrainApp
from pipeline.detect import clips
from pipeline.detect.alarm import SMOOTHINGS, Choice, Recordings, replay, smooth
from pipeline.detect.detector import Detector
from pipeline.footage.collection import read_index
from pipeline.learn.data import PackedData
from pipeline.learn.memory import Memory
from pipeline.learn.networks.base import Streaming
from pipeline.learn.networks.product import (
    StreamingProductNet,
    origin_log_odds,
    product_logits,
)
from pipeline.learn.origin import Layer, OriginExamples, fit_calibrated, training_examples
from pipeline.store import features
from pipeline.store.manifest import REAL_SHOOTING, read_manifest
from pipeline.store.packed_samples import Packed

Floats = NDArray[np.float64]
Way = Callable[[Tensor], Tensor]
"""From logits (B, T, 4) of the last clip at every frame to scores (B, T)."""
STRETCH_S, SOON_S, APART_S, REFRACTORY_S = 30.0, 5.0, 10.0, 60.0
ALLOWED = (0, 1, 3, 10)
LASTING = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
NUM_RESAMPLES = 1000


@dataclass(frozen=True)
class Played:
    """What is said of a recording at each of T frames, of the last clip alone.

    The first of them is the last frame of its first clip, before which a stream says nothing, and
    times count from it.
    """

    name: str
    is_real: bool
    seen: Floats
    """What the layers on the origin see, (T, F)."""
    discharge: Floats
    """Log odds of a discharge, (T,)."""
    fired_s: Floats
    """Times of discharges, seen or only heard."""
    hidden: frozenset[str]
    """Sources that the layers on the origin may not have seen."""

    @property
    def onset_s(self) -> float:
        """When its first real discharge is; never in fiction."""
        return float(self.fired_s[0]) if self.is_real and self.fired_s.size else np.inf


def play(detector: Detector, folder: Path, synthetic: Path, pattern: str) -> list[Played]:
    """Play the ingested recordings whose `<collection>/<recording>` a pattern names."""
    network = detector.network
    assert isinstance(network, StreamingProductNet), network
    assert isinstance(network.discharge, Streaming)
    given, manifest = clips.of_ingested(folder), read_manifest(folder)
    files: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, clip in enumerate(manifest):
        if fnmatchcase(clip.recording, pattern):
            files[clip.collection, clip.path].append(number)
    rows = {
        (collection, row.path): row
        for collection in sorted({collection for collection, _ in files})
        for row in read_index(synthetic / collection)
    }
    found = []
    for key, numbers in tqdm(sorted(files.items()), "play", unit="recording"):
        state, seen, discharge = network.start(1), [], []
        for number in sorted(numbers, key=lambda number: manifest[number].start_s):
            sample = given.read(number)
            frames, sound = (torch.from_numpy(one)[None] for one in (sample.frames, sample.sound))
            with torch.inference_mode():
                of_origin, after = network.origin.advance(frames, state)
                logits, own = network.discharge.advance(frames, state)
                fired = network.seen(logits)
                state = {**state, **after, **own}
                if network.hearing is not None:
                    heard, after = network.hearing.advance(sound, state)
                    fired, state = fired + heard, {**state, **after}
            seen.append(of_origin[0].double().numpy())
            discharge.append(fired[0].double().numpy())
        row, early = rows[key], detector.card.clip.num_frames - 1
        fired_s = np.array(sorted((*row.discharges_s, *row.heard_s)))
        place = re.search(r"place=(\w+)", row.notes)
        hidden = {row.source, *([f"photograph-{place[1]}"] if place else [])}
        found.append(
            Played(
                f"{key[0]}/{key[1]}",
                row.origin == "real",
                np.concatenate(seen)[early:],
                np.concatenate(discharge)[early:],
                np.maximum(fired_s - early / detector.card.clip.fps, 0.0),
                frozenset(hidden),
            )
        )
    return found


def origins(played: Sequence[Played], examples: OriginExamples, cfg: TrainApp) -> list[Floats]:
    """Log odds of real of every recording, (T,), by layers that saw nothing of its sources."""
    layers: dict[frozenset[str], Layer] = {}
    found = []
    for one in played:
        hidden = one.hidden & set(examples.sources.tolist())
        if hidden not in layers:
            kept = ~np.isin(examples.sources, sorted(hidden))
            layers[hidden] = fit_calibrated(examples.take(kept), cfg)
        found.append(layers[hidden].log_odds(one.seen))
    return found


def last_clip(logits: Tensor) -> Tensor:
    """The score as it is."""
    return logits.softmax(-1)[..., REAL_SHOOTING]


def mean_score(num_frames: int, logits: Tensor) -> Tensor:
    """A moving average of the score."""
    until = torch.nn.functional.pad(last_clip(logits).cumsum(1), (1, 0))
    last = torch.arange(1, logits.shape[1] + 1)
    first = (last - num_frames).clamp(min=0)
    return (until[:, last] - until[:, first]) / (last - first)


def followed(memory: Memory, fps: float, logits: Tensor) -> Tensor:
    """What a memory makes of logits, (B, T, 4) to (B, T, 4)."""
    state, found = memory.start(len(logits)), []
    for number, now in enumerate(logits.unbind(1)):
        after, state = memory.advance(now, 1 / fps if number else memory.answer_s, state)
        found.append(after)
    return torch.stack(found, dim=1)


def remembered(memory: Memory, fps: float, logits: Tensor) -> Tensor:
    """The score with a memory."""
    return last_clip(followed(memory, fps, logits))


def smoothed(smoothing: str, num_frames: int, memory: Memory, fps: float, logits: Tensor) -> Tensor:
    """The highest score with a memory within each of the last three clips, smoothed."""
    scores = torch.nn.functional.pad(remembered(memory, fps, logits), (3 * num_frames - 1, 0))
    highest = scores.unfold(1, num_frames, 1).amax(-1).numpy()
    now, last = highest[:, 2 * num_frames :], highest[:, num_frames:-num_frames]
    return torch.from_numpy(smooth(smoothing, now, last, highest[:, : -2 * num_frames]))


def ways(memory: Memory, fps: float) -> dict[str, Way]:
    """What is compared, by name; the first is what others are set against."""
    momentary = 1e-3
    asked = {
        "discharge over a moment alone": replace(memory, origin_s=momentary),
        "origin as the mean of log odds, 30 s": replace(
            memory, origin_s=30.0, lasting=1.0, discharge_s=momentary
        ),
        "both": replace(memory, lasting=1.0),
        **{
            f"both, lasting {lasting:g}, {origin_s:g} s": replace(
                memory, lasting=lasting, origin_s=origin_s
            )
            for origin_s in (10.0, 30.0)
            for lasting in (0.3, 0.5, 0.7)
        },
    }
    return {
        "last clip alone": last_clip,
        **{
            f"moving average of the score, {span_s:g} s": partial(mean_score, round(span_s * fps))
            for span_s in (3.0, 10.0, 30.0)
        },
        **{name: partial(remembered, one, fps) for name, one in asked.items()},
        **{
            f"the memory of the models, {said}": partial(
                smoothed, name, round(memory.answer_s * fps), memory, fps
            )
            for name, said in SMOOTHINGS.items()
        },
    }


def stretches(
    played: Sequence[Played], scores: Sequence[Floats], fps: float
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Highest scores of stretches, whether each follows a real discharge, and its recording."""
    found: list[tuple[float, bool, int]] = []
    for number, (one, own) in enumerate(zip(played, scores, strict=True)):
        at_s = np.arange(own.size) / fps
        starts = one.fired_s[np.diff(one.fired_s, prepend=-np.inf) > APART_S] if one.is_real else ()
        parts = [((start <= at_s) & (at_s < start + SOON_S), True) for start in starts]
        quiet, stretch = at_s < one.onset_s, (at_s / STRETCH_S).astype(np.int64)
        parts += [
            (chosen, False)
            for which in np.unique(stretch[quiet])
            if (chosen := quiet & (stretch == which)).sum() > STRETCH_S * fps / 3
        ]
        found += [(float(own[chosen].max()), shows, number) for chosen, shows in parts]
    highest, shows, recording = zip(*found, strict=True)
    return np.array(highest), np.array(shows), np.array(recording)


def recordings(parts: Sequence[Floats], fps: float) -> Recordings:
    """Scores as an alarm plays them."""
    lengths = np.array([part.size for part in parts])
    at_s = np.concatenate([np.arange(length) / fps for length in lengths])
    first = np.cumsum(lengths) - lengths
    return Recordings(np.concatenate(parts), at_s, first, np.zeros((len(parts), 2)))


def alerts(played: Sequence[Played], scores: Sequence[Floats], fps: float) -> list[str]:
    """Shootings that alert, and their median delay, at most as many false alerts as `ALLOWED`."""
    onsets = [
        min(own.size, int(np.ceil(one.onset_s * fps)) if np.isfinite(one.onset_s) else own.size)
        for one, own in zip(played, scores, strict=True)
    ]
    quiet = recordings([own[:at] for own, at in zip(scores, onsets, strict=True) if at], fps)
    shown = recordings(
        [own[at:] for own, at in zip(scores, onsets, strict=True) if at < own.size], fps
    )
    levels = np.unique(quiet.scores)
    candidates = np.append(levels[0], np.nextafter(levels, 2.0))

    def choice(number: int) -> Choice:
        return Choice(float(candidates[number]), "none", REFRACTORY_S)

    found = []
    for allowed in ALLOWED:
        low, high = 0, candidates.size - 1
        while low < high:
            middle = (low + high) // 2
            if replay(quiet, choice(middle)).opened.sum() <= allowed:
                high = middle
            else:
                low = middle + 1
        opened = replay(shown, choice(low)).opened
        delays = np.minimum.reduceat(np.where(opened, shown.at_s, np.inf), shown.first)
        delays = delays[np.isfinite(delays)]
        found.append(f"{delays.size} ({np.median(delays):.1f} s)" if delays.size else "0")
    return found


def compare(
    played: Sequence[Played], logits: Sequence[Tensor], memory: Memory, fps: float
) -> list[list[Cell]]:
    """A row a way."""
    padded = torch.nn.utils.rnn.pad_sequence(list(logits), batch_first=True)
    rng, alone = np.random.default_rng(0), np.zeros(0)
    rows: list[list[Cell]] = []
    drawn = rng.multinomial(len(played), np.full(len(played), 1 / len(played)), NUM_RESAMPLES)
    for name, way in ways(memory, fps).items():
        whole = way(padded).numpy()
        scores = [own[: len(one)] for own, one in zip(whole, logits, strict=True)]
        highest, shows, recording = stretches(played, scores, fps)
        weights = [one[recording] for one in drawn]
        able = [one for one in weights if one[shows].any() and one[~shows].any()]
        aurocs = np.array([roc_auc_score(shows, highest, sample_weight=one) for one in able])
        alone = alone if alone.size else aurocs
        low, high = np.quantile(aurocs, [0.025, 0.975])
        less, more = np.quantile(aurocs - alone, [0.025, 0.975])
        auroc = f"{roc_auc_score(shows, highest):.3f} ({low:.3f} to {high:.3f})"
        rows.append([name, auroc, f"{less:+.3f} to {more:+.3f}", *alerts(played, scores, fps)])
    return rows


def losses(
    played: Sequence[Played], origin: Sequence[Floats], memory: Memory, fps: float
) -> list[list[Cell]]:
    """A row a way to tell the origin: the mean loss of all seconds."""
    is_real = np.array([one.is_real for one in played])

    def loss(told: Sequence[Floats]) -> float:
        each = [
            np.logaddexp(0, -own[round(fps) :: round(fps)] * (1 if one.is_real else -1)).mean()
            for one, own in zip(played, told, strict=True)
        ]
        return float(np.mean([np.mean(np.array(each)[is_real == one]) for one in (True, False)]))

    padded = torch.nn.utils.rnn.pad_sequence(list(map(torch.from_numpy, origin)), batch_first=True)
    logits = product_logits(padded, torch.zeros_like(padded))

    def summed(lasting: float) -> list[Floats]:
        told = origin_log_odds(followed(replace(memory, lasting=lasting), fps, logits)).numpy()
        return [own[: one.size] for own, one in zip(told, origin, strict=True)]

    rows: list[list[Cell]] = [["last clip alone", round(loss(origin), 3)]]
    return rows + [[f"lasting {one:g}", round(loss(summed(one)), 3)] for one in LASTING]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--clips", type=Path, default=Path("data/clips"), help="what ingest wrote")
    parser.add_argument("--synthetic", type=Path, default=Path("data/synthetic"))
    parser.add_argument("--packed", default="data/packed", help="what the models learned from")
    parser.add_argument("--features", default="data/features", help="of these samples")
    parser.add_argument("--pattern", default="*/*-long-*", help="of <collection>/<recording>")
    parser.add_argument("--out", type=Path, help="file of JSON for docs/results.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    detector = Detector.load(arguments.models)
    memory, form = detector.card.memory, detector.card.clip
    assert memory is not None, "weights without a memory"
    cfg = app.compose("train", f"paths.packed={arguments.packed}")
    packed = Packed.open(arguments.packed, Path(cfg.paths.work))
    known = features.read(arguments.features, packed)
    assert known is not None, "features without an encoder"
    examples = training_examples(PackedData(packed, cfg, cfg.run), known, cfg)

    played = play(detector, arguments.clips, arguments.synthetic, arguments.pattern)
    origin = origins(played, examples, cfg)
    logits = [
        product_logits(torch.from_numpy(real), torch.from_numpy(one.discharge))
        for real, one in zip(origin, played, strict=True)
    ]
    quiet_s = sum(min(one.onset_s, one.discharge.size / form.fps) for one in played)
    said = (
        f"{len(played)} recordings, {sum(np.isfinite(one.onset_s) for one in played)} of them with "
        f"real shootings, {quiet_s / 60:.1f} minutes without real gunfire"
    )
    columns = ["what is scored", "AUROC", "more than the last clip alone"]
    columns += [f"alert at {number} false alerts" for number in ALLOWED]
    tables = [
        Table("Memory of streams", columns, compare(played, logits, memory, form.fps)),
        Table(
            "How sure the origin of a stream is",
            ["origin by", "loss"],
            losses(played, origin, memory, form.fps),
        ),
    ]
    print(said)
    for table in tables:
        for row in [table.columns, *table.rows]:
            print(" | ".join(map(str, row)))
    if arguments.out:
        write(arguments.out, Outcome(Path(__file__).name, said, tables))


if __name__ == "__main__":
    main()
