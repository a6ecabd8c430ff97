"""What a stream should remember: ways to sum up what a detector says of long recordings.

    python benchmarks/memory.py reports/long.parquet

Reads what an evaluation said of each clip by itself, and plays every file as a stream, with the
scores of each way: the last clip alone; a moving average of the score; the memory of the detector,
which averages the log odds of the origin; and that with the log odds of the discharge less a part
of their own mean. Of each it tells how well the highest score within 5 s of a discharge in real
footage ranks above that of every 30 s without real gunfire (AUROC, with an interval over
recordings, and how often resamples rank it above the last clip alone), and how many of the real
shootings alert, and how soon, at the lowest threshold with so many false alerts on the same files.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write
from sklearn.metrics import roc_auc_score

from pipeline import app
from pipeline.assess.suites.streams.played_clips import PlayedClips
from pipeline.detect.alarm import Choice, Recordings, replay
from pipeline.detect.scores import clusters, joint
from pipeline.detect.stream_scores import stream_scores
from pipeline.learn.memory import Memory
from pipeline.learn.networks.product import discharge_log_odds, origin_log_odds, product_logits
from pipeline.store.manifest import REAL_SHOOTING

Floats = NDArray[np.float64]
Way = Callable[[pa.Table, float], Floats]
"""From rows of `SCORE_SCHEMA` and the length of a clip to scores of streams, (N,)."""
SPANS_S = (1.0, 3.0, 10.0, 30.0, 60.0)
SHARE = 0.6
"""Of the mean of the discharge that is taken from it."""
STRETCH_S, SOON_S, REFRACTORY_S = 30.0, 5.0, 60.0
ALLOWED = (0, 1, 3, 10)
NUM_RESAMPLES = 1000


def score_alone(clips: pa.Table, clip_s: float) -> Floats:
    """Of the last clip."""
    return joint(clips)[:, REAL_SHOOTING]


def mean_score(span_s: float) -> Way:
    """A moving average of the score over the last `span_s` of a file."""

    def way(clips: pa.Table, clip_s: float) -> Floats:
        scores, start_s = score_alone(clips, clip_s), clips["start_s"].to_numpy()
        found = np.zeros(scores.size)
        for own in files_of(clips):
            first = np.searchsorted(start_s[own], start_s[own] + clip_s - span_s, side="left")
            until = np.append(0.0, np.cumsum(scores[own]))
            last = np.arange(own.size)
            first = np.minimum(first, last)
            found[own] = (until[last + 1] - until[first]) / (last + 1 - first)
        return found

    return way


def memory(span_s: float) -> Way:
    """The mean of the log odds of the origin beside the discharge of the last clip."""
    return lambda clips, clip_s: stream_scores(clips, joint(clips), Memory(span_s), clip_s)


def relative(span_s: float) -> Way:
    """The same with the log odds of the discharge less a share of their mean over `span_s`."""

    def way(clips: pa.Table, clip_s: float) -> Floats:
        logits = torch.from_numpy(np.log(np.maximum(joint(clips), 1e-30)))
        origin, discharge = origin_log_odds(logits), discharge_log_odds(logits).numpy()
        usual, less = float(np.mean(discharge)), np.zeros(discharge.size)
        for own in files_of(clips):
            total = weight = 0.0
            for row in own:
                # Of what came before, so that a discharge is not weighed against itself.
                mean = (total + clip_s * usual) / (weight + clip_s)
                less[row] = SHARE * (mean - usual)
                kept = np.exp(-clip_s / span_s)
                total, weight = kept * total + clip_s * discharge[row], kept * weight + clip_s
        made = product_logits(origin, torch.from_numpy(discharge - less)).softmax(1).numpy()
        return stream_scores(clips, made, Memory(span_s), clip_s)

    return way


WAYS: dict[str, Way] = {
    "last clip alone": score_alone,
    **{f"mean of the score, {span_s:g} s": mean_score(span_s) for span_s in SPANS_S[1:4]},
    **{f"memory, {span_s:g} s": memory(span_s) for span_s in SPANS_S},
    "memory, 10 s; relative discharge": relative(10.0),
    "memory, 30 s; relative discharge": relative(30.0),
}


def files_of(clips: pa.Table) -> list[NDArray[np.int64]]:
    """Rows of each file, in the order of time."""
    names = np.array(
        [
            f"{collection}\0{path}"
            for collection, path in zip(
                clips["collection"].to_pylist(), clips["path"].to_pylist(), strict=True
            )
        ],
        str,
    )
    order = np.lexsort((clips["start_s"].to_numpy(), names))
    return np.split(order, np.flatnonzero(names[order][1:] != names[order][:-1]) + 1)


def stretches(
    clips: pa.Table, scores: Floats, clip_s: float
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Highest scores of stretches, whether each shows a real discharge, and its recording."""
    start_s = clips["start_s"].to_numpy()
    fired = clips["discharge"].fill_null(0).to_numpy() == 1
    real = np.array([one == "real" for one in clips["origin"].to_pylist()])
    of_recording = np.unique(np.array(clusters(clips), str), return_inverse=True)[1]
    highest: list[float] = []
    shows: list[bool] = []
    recording: list[int] = []
    for own in files_of(clips):
        at_s, shooting = start_s[own], own[fired[own] & real[own]]
        onsets: list[float] = []
        for second in start_s[shooting]:
            if not onsets or second - onsets[-1] > 2 * SOON_S:
                onsets.append(float(second))
        parts = [((onset <= at_s) & (at_s < onset + SOON_S), True) for onset in onsets]
        quiet = at_s + clip_s <= (onsets[0] if onsets else np.inf)
        number = (at_s / STRETCH_S).astype(np.int64)
        parts += [(quiet & (number == one), False) for one in np.unique(number[quiet])]
        for chosen, is_shooting in parts:
            highest.append(float(scores[own[chosen]].max()))
            shows.append(is_shooting)
            recording.append(int(of_recording[own[0]]))
    return np.array(highest), np.array(shows), np.array(recording)


def alerts(clips: pa.Table, scores: Floats, clip_s: float) -> list[tuple[int, float]]:
    """Shootings that alert and the median delay, at most as many false alerts as `ALLOWED`."""
    place = clips.column_names.index("stream_score")
    played = PlayedClips.of(
        clips.set_column(place, "stream_score", pa.array(scores)), clip_s, seed=0
    )
    candidates = np.append(np.nextafter(np.unique(played.reel.scores), 2.0), 0.0)
    candidates.sort()
    shootings, found = played.shootings, []
    for allowed in ALLOWED:
        low, high = 0, candidates.size - 1
        while low < high:
            middle = (low + high) // 2
            choice = Choice(float(candidates[middle]), "none", REFRACTORY_S)
            if played.reel.alerts(choice).size <= allowed:
                high = middle
            else:
                low = middle + 1
        choice = Choice(float(candidates[low]), "none", REFRACTORY_S)
        quiet = np.zeros((shootings.first.size, 2))
        shown = Recordings(shootings.scores, shootings.delays_s, shootings.first, quiet)
        opened = replay(shown, choice).opened
        delays = np.minimum.reduceat(np.where(opened, shown.at_s, np.inf), shown.first)
        there = np.isfinite(delays)
        found.append((int(there.sum()), float(np.median(delays[there])) if there.any() else np.inf))
    return found


def measure(clips: pa.Table, clip_s: float) -> tuple[str, list[list[Cell]]]:
    """What was measured on, in words, and a row a way."""
    rng = np.random.default_rng(0)
    rows: list[list[Cell]] = []
    drawn: NDArray[np.int64] | None = None
    alone: Floats | None = None
    for name, way in WAYS.items():
        scores = way(clips, clip_s)
        highest, shows, recording = stretches(clips, scores, clip_s)
        if drawn is None:
            size = int(recording.max()) + 1
            drawn = rng.multinomial(size, np.full(size, 1 / size), NUM_RESAMPLES)
            played = PlayedClips.of(clips, clip_s, seed=0)
            said = (
                f"{size} recordings with {60 * played.reel.hours:.1f} minutes without real "
                f"gunfire, in {int((~shows).sum())} stretches, and {int(shows.sum())} stretches of "
                f"real shootings in {played.shootings.first.size} files"
            )
        weights = [one[recording] for one in drawn]
        able = [one for one in weights if one[shows].any() and one[~shows].any()]
        aurocs = np.array([roc_auc_score(shows, highest, sample_weight=one) for one in able])
        alone = aurocs if alone is None else alone
        ends = np.quantile(aurocs, [0.025, 0.975])
        low, high = np.quantile(aurocs - alone, [0.025, 0.975])
        rows.append(
            [
                name,
                f"{roc_auc_score(shows, highest):.3f} ({ends[0]:.3f} to {ends[1]:.3f})",
                f"{low:+.3f} to {high:+.3f}",
                *(
                    f"{number} ({delay:.1f} s)" if number else "0"
                    for number, delay in alerts(clips, scores, clip_s)
                ),
            ]
        )
    return said, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tables", type=Path, nargs="+", help="rows of SCORE_SCHEMA, as Parquet")
    parser.add_argument("--out", type=Path, help="file of JSON for docs/results.md")
    arguments = parser.parse_args()
    clips = pa.concat_tables([pq.read_table(path) for path in arguments.tables])
    form = app.compose("ingest").clip
    said, rows = measure(clips, form.num_frames / form.fps)
    columns = ["what is scored", "AUROC", "more than the last clip alone"]
    columns += [f"alerted at {number} false alerts" for number in ALLOWED]
    print(said)
    for row in [columns, *rows]:
        print(" | ".join(map(str, row)))
    if arguments.out:
        outcome = Outcome(Path(__file__).name, said, [Table("Memory of streams", columns, rows)])
        write(arguments.out, outcome)


if __name__ == "__main__":
    main()
