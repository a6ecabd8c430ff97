"""How soon a signed webhook is called after a discharge was published, end to end.

    python benchmarks/live_discharges.py --models models --recording FILE --at SECOND [key=value …]

Some quiet seconds of a recording and a discharge after them are repeated without a seam, each time
a quarter of a second later between two key frames, and published in real time: to an RTMP server
(`rtmp_server.py`; left out where it is not there), and as HLS with segments of a second in a folder
behind Python's http.server. `discern watch` follows, with a threshold between what the detector
says of the quiet seconds and of the discharges, and a receiver checks the signature of each event.
What is measured is the time from the packet that shows the discharge being published to the alert
being received. Beside it stands how much of that the protocol took alone, before anybody could read
that packet, and how much the alarm's rule did, which waits for the end of the clip at which the
level reaches the threshold. What is left is decoding, what is looked ahead for cuts, the network,
and the queue on disk. Without `--recording`, a flash with a bang is made, which a network need not
know. Settings of `watch` may follow, such as `max_wait_s=600`, with which a machine that is slow
loses no clip.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import rtmp_server
import torch
from live import FPS, HEIGHT, WIDTH, Published
from live_alerts import BEGIN_S, Schedule, by_hls, by_rtmp, every_s, fires_s
from live_memory import repeated
from outcome import Outcome, Table, write

from pipeline.detect.detector import Detector
from pipeline.footage import foreign
from pipeline.live.decoder import DecodingTask, decoded
from pipeline.live.messages import StreamClip
from pipeline.live.scoring import StreamScorer
from pipeline.store import video

PROTOCOLS = ("rtmp", "hls")
RATE_HZ = 48_000
TRIED = 8
"""Discharges that the threshold is taken of. Where clips begin in them differs from one to the
next, and what the detector says of them with it."""
LATE_S = 5.0
PHASES = (0, 8, 15, 23)
"""Frames that discharges lie after a key frame, in turn, so that they meet clips and segments at
many places."""


def flash(quiet_s: int) -> tuple[Any, Any]:
    """Pictures and sound of a texture that moves, with a white flash and a bang."""
    rng = np.random.default_rng(0)
    num_frames, first = every_s(quiet_s) * FPS, quiet_s * FPS
    blocks = rng.integers(10, 90, (HEIGHT // 20, (WIDTH + 2 * num_frames) // 20 + 1, 3))
    wide = np.kron(blocks, np.ones((20, 20, 1))).astype(np.uint8)
    frames = np.stack([wide[:, 2 * one : 2 * one + WIDTH] for one in range(num_frames)])
    frames[first : first + 6] = 250
    sound = rng.normal(0, 0.005, (1, num_frames * RATE_HZ // FPS)).astype(np.float32)
    bang = slice(first * RATE_HZ // FPS, first * RATE_HZ // FPS + RATE_HZ // 5)
    sound[:, bang] = rng.uniform(-0.9, 0.9, RATE_HZ // 5)
    return frames, sound


def around(path: Path, at_s: float, quiet_s: int, later: int) -> tuple[Any, Any]:
    """The pictures and the sound of a recording around one of its discharges."""
    begin_s, num_frames = at_s - quiet_s - later / FPS, every_s(quiet_s) * FPS
    shown: dict[int, Any] = {}
    sound = np.zeros((1, num_frames * RATE_HZ // FPS), np.float32)
    with av.open(str(path)) as source:
        for frame in source.decode(video=0):
            number = round((float(frame.time or 0.0) - begin_s) * FPS)
            if 0 <= number < num_frames:
                shown[number] = frame.reformat(WIDTH, HEIGHT, "rgb24").to_ndarray()
            elif number >= num_frames:
                break
    with av.open(str(path)) as source:
        resampler = av.AudioResampler("fltp", "mono", RATE_HZ)
        for heard in source.decode(audio=0) if source.streams.audio else ():
            for part in resampler.resample(heard):
                first = round((float(part.time or 0.0) - begin_s) * RATE_HZ)
                samples = part.to_ndarray()
                until = min(sound.shape[1], first + samples.shape[1])
                if first >= 0 and until > first:
                    sound[:, first:until] = samples[:, : until - first]
    frames = [shown[min(shown)]]
    for number in range(1, num_frames):
        frames.append(shown.get(number, frames[-1]))
    return np.stack(frames), sound


def between(
    path: Path, detector: Detector, quiet_s: int, phases: Sequence[int]
) -> tuple[float, list[float]]:
    """A threshold between the scores of quiet seconds and those of discharges.

    Returns:
        It, and how long after each discharge of the file the first clip ends that reaches it.
    """
    scorer, clip = StreamScorer(detector), detector.card.clip
    clip_s = clip.num_frames / clip.fps
    quiet: list[float] = [0.0]
    fired: list[list[tuple[float, float]]] = [[] for _ in range(TRIED)]
    for shown in decoded(
        DecodingTask(path, clip, foreign.DecodingLimits(36_000_000, 7200.0), 4096), None
    ):
        if not isinstance(shown, StreamClip):
            continue
        score, end_s = scorer.score({"": shown})[""].score, shown.start_s + clip_s
        number = int(end_s // every_s(quiet_s))
        # What goes on from one repetition into the next shows the end of the one.
        if number < len(fired) and end_s - number * every_s(quiet_s) > clip_s:
            since_s = end_s - fires_s(number, quiet_s, phases)
            if since_s > 0:
                fired[number].append((score, since_s))
            else:
                quiet.append(score)
    lowest = min(max(score for score, _ in one) for one in fired)
    highest = max(quiet)
    print(f"scores up to {highest:.4f} where it is quiet, {lowest:.4f} and more at discharges")
    if lowest <= highest:
        raise SystemExit("the detector does not tell them apart; give another recording")
    threshold = (lowest + highest) / 2
    return threshold, [min(s for score, s in one if score >= threshold) for one in fired]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--recording", type=Path)
    parser.add_argument("--at", type=float, help="second of a discharge")
    parser.add_argument("--quiet-s", type=int, default=10)
    parser.add_argument("--discharges", type=int, default=20)
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("--out", type=Path, help="for the page of results")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for watch")
    given = parser.parse_args()
    torch.set_num_threads(1)
    quiet_s, rows = given.quiet_s, []
    phases: Sequence[int] = (0,) if given.recording is None else PHASES
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        short = []
        for later in phases:
            frames, sound = (
                flash(quiet_s)
                if given.recording is None
                else around(given.recording, given.at, quiet_s, later)
            )
            track = video.SoundTrack(sound, RATE_HZ, "aac", 96)
            short.append(folder / f"{later}.mp4")
            short[-1].write_bytes(video.encode(frames, FPS, crf=23, keyint=FPS, track=track))
        tried = repeated(short, folder / "tried.ts", every_s(quiet_s), TRIED + 1)
        threshold, rule_s = between(tried, Detector.load(given.models), quiet_s, phases)
        num_times = given.discharges + math.ceil(BEGIN_S / every_s(quiet_s))
        path = repeated(short, folder / "long.ts", every_s(quiet_s), num_times)
        settings = (
            *(f"paths.models={given.models.resolve()}", f"threshold={threshold}"),
            *(f"refractory_s={every_s(quiet_s) / 2}", *given.overrides),
        )
        for protocol in given.protocols:
            if protocol == "rtmp" and not rtmp_server.is_there():
                print(f"rtmp: there is no {rtmp_server.NGINX}, or not its module")
                continue
            (folder / protocol).mkdir()
            published = Published(path, folder / protocol, protocol)
            print(f"{protocol}: begins", flush=True)
            schedule = Schedule(quiet_s, phases, given.discharges)
            found = (by_rtmp if protocol == "rtmp" else by_hls)(published, schedule, settings)
            delays = np.array(found.delays)
            num_soon = int((delays <= LATE_S).sum())
            print(
                f"{protocol}: {given.discharges} discharges, {len(delays)} alerts, {num_soon} of "
                f"them within {LATE_S:g} s, {found.num_wrong} wrong signatures",
                flush=True,
            )
            if not len(delays):
                raise SystemExit(f"{protocol}: no alert came")
            times = np.median(delays), delays.max(), np.median(found.alone), np.median(rule_s)
            median_s, most_s, alone_s, of_rule_s = times
            print(
                f"{protocol}: from a discharge being published to the webhook median "
                f"{median_s:.2f} s, at most {most_s:.2f} s; of it the protocol alone median "
                f"{alone_s:.2f} s, the rule of the alarm {of_rule_s:.2f} s"
            )
            print(f"{protocol}: {' '.join(f'{one:.2f}' for one in delays)}")
            rows.append(
                [protocol, given.discharges, num_soon, len(delays) - num_soon, found.num_wrong]
                + [round(float(one), 2) for one in times]
            )
    if given.out:
        columns = [
            *("protocol", "discharges", f"alerts within {LATE_S:g} s", "later ones"),
            "wrong signatures",
            *("median, s", "longest, s", "of it the protocol, s", "of it the alarm's rule, s"),
        ]
        setting = (
            f"A discharge of {given.recording.name if given.recording else 'a flash that is made'} "
            f"published every {every_s(quiet_s)} s ({WIDTH}×{HEIGHT}, {FPS} pictures a "
            "second, a key frame a second; RTMP by nginx, HLS with segments of a second), to a "
            f"signed webhook of the same machine; the threshold {threshold:.4f} lies between quiet "
            "seconds and discharges, with no smoothing."
        )
        table = Table("From a discharge being published to the webhook", columns, rows)
        write(given.out, Outcome(Path(__file__).name, setting, [table]))


if __name__ == "__main__":
    main()
