"""How soon a signed webhook is called after a discharge was published, end to end.

    python benchmarks/live_discharges.py --models models --recording FILE --at SECOND

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
know.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import hmac
import io
import json
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import av
import numpy as np
import rtmp_server
import torch
from live import Published, served
from live_memory import repeated
from outcome import Outcome, Table, write

from pipeline import app
from pipeline.commands import watch
from pipeline.config import WatchApp
from pipeline.detect.detector import Detector
from pipeline.footage import foreign
from pipeline.live import webhooks
from pipeline.live.decoder import Task, decoded
from pipeline.live.messages import Shown
from pipeline.live.scoring import Scorer
from pipeline.store import video

PROTOCOLS = ("rtmp", "hls")
WIDTH, HEIGHT, FPS, RATE_HZ = 640, 360, 30, 48_000
AFTER_S = 3
"""What is shown after a discharge, of which two seconds at least follow the latest of `PHASES`."""
TRIED = 8
"""Discharges that the threshold is taken of. Where clips begin in them differs from one to the
next, and what the detector says of them with it."""
LATE_S = 5.0
PHASES = (0, 8, 15, 23)
"""Frames that discharges lie after a key frame, in turn, so that they meet clips and segments at
many places."""
_BEGIN_S = 24.0
_KEY = bytes(range(32))


def every_s(quiet_s: int) -> int:
    """From one repetition to the next."""
    return quiet_s + AFTER_S


def fires_s(number: int, quiet_s: int, phases: Sequence[int]) -> float:
    """When the discharge of a repetition is, in seconds of what is published."""
    return number * every_s(quiet_s) + quiet_s + phases[number % len(phases)] / FPS


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
    scorer, clip = Scorer(detector), detector.card.clip
    clip_s = clip.num_frames / clip.fps
    quiet: list[float] = [0.0]
    fired: list[list[tuple[float, float]]] = [[] for _ in range(TRIED)]
    for shown in decoded(Task(path, clip, foreign.Limits(36_000_000, 7200.0), 4096), None):
        if not isinstance(shown, Shown):
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


@dataclass
class Received:
    """What a receiver of webhooks got, and when."""

    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    num_wrong: int = 0

    def take(self, request: BaseHTTPRequestHandler) -> None:
        """Take an event whose signature is right."""
        now = time.time()
        body = request.rfile.read(int(request.headers["Content-Length"]))
        told = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}."
        digest = hmac.new(_KEY, told.encode() + body, hashlib.sha256).digest()
        is_right = request.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        if is_right:
            self.events.append((now, json.loads(body)))
        self.num_wrong += not is_right
        request.send_response(204 if is_right else 401)
        request.end_headers()

    def times(self, kind: str) -> list[float]:
        """When events of a type came."""
        return [at for at, event in self.events if event["type"] == kind]


def relayed(url: str, arrived: dict[float, float]) -> None:
    """Note when each packet of pictures can be read of an RTMP server, by its second."""
    options = {"rtmp_live": "live", "analyzeduration": "500000"}
    with (
        contextlib.suppress(av.FFmpegError),
        av.open(url, timeout=(20.0, 5.0), options=options) as source,
    ):
        for packet in source.demux(video=0):
            if packet.pts is not None:
                arrived[float(packet.pts * packet.time_base)] = time.time()


def measured(
    published: Published, models: Path, threshold: float, refractory_s: float, root: str | None
) -> tuple[Received, Callable[[float], float]]:
    """Watch what is published; what came of it, and when a second of it could be read at first."""
    work, received, arrived = published.folder, Received(), dict[float, float]()
    receiver, source = served(received.take), served(published.answer)
    url = f"http://127.0.0.1:{source.server_port}/index.m3u8" if root is None else f"{root}/key"
    if root is None:
        threading.Thread(target=published.segments, daemon=True).start()
    else:
        threading.Thread(target=published.send, args=(url, "flv"), daemon=True).start()
    time.sleep(2.5)
    if root is not None:
        threading.Thread(target=relayed, args=(url, arrived), daemon=True).start()
    os.environ[webhooks.SECRET] = f"whsec_{base64.b64encode(_KEY).decode()}"
    cfg = app.compose(
        "watch",
        *(f"paths.models={models}", f"paths.work={work}", "allow_private=true"),
        *(f"threshold={threshold}", f"refractory_s={refractory_s}", "release=null"),
        *("update_every_s=1e6", "timeout_s=15", "end_after_s=0"),
        f"webhook=http://127.0.0.1:{receiver.server_port}/",
    )
    assert isinstance(cfg, WatchApp)
    with contextlib.redirect_stdout(io.StringIO()):
        watch.run(url, cfg=cfg)
    for server in (source, receiver):
        server.shutdown()

    def readable(second: float) -> float:
        if root is None:
            return (published.folder / f"{int(second + 1e-6)}.ts").stat().st_mtime
        return at(second, arrived)

    return received, readable


def at(second: float, times: Mapping[float, float]) -> float:
    """When the first picture from a second on came, or went."""
    return times[min(one for one in times if one >= second - 0.5 / FPS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--recording", type=Path)
    parser.add_argument("--at", type=float, help="second of a discharge")
    parser.add_argument("--quiet-s", type=int, default=10)
    parser.add_argument("--discharges", type=int, default=20)
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("--out", type=Path, help="for the page of results")
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
        # The first ones come while nobody watches yet.
        num_times = given.discharges + math.ceil(_BEGIN_S / every_s(quiet_s))
        path = repeated(short, folder / "long.ts", every_s(quiet_s), num_times)
        for protocol in given.protocols:
            if protocol == "rtmp" and not rtmp_server.is_there():
                print(f"rtmp: there is no {rtmp_server.NGINX}, or not its module")
                continue
            (folder / protocol).mkdir()
            published = Published(path, folder / protocol, protocol)
            print(f"{protocol}: begins", flush=True)
            with contextlib.ExitStack() as stack:
                root = None
                if protocol == "rtmp":
                    root = stack.enter_context(rtmp_server.serving(folder / "nginx"))
                models, refractory_s = given.models.resolve(), every_s(quiet_s) / 2
                received, readable = measured(published, models, threshold, refractory_s, root)
            opened, (started,) = received.times("alert.opened"), received.times("stream.started")
            seconds = [fires_s(one, quiet_s, phases) for one in range(num_times)]
            sent = {one: at(one, published.sent) for one in seconds}
            seconds = [one for one in seconds if sent[one] > started][: given.discharges]
            delays = np.array(
                [
                    min((come - sent[one] for come in opened if come > sent[one]), default=np.inf)
                    for one in seconds
                ]
            )
            alone = np.array([readable(one) - sent[one] for one in seconds])
            soon = delays <= LATE_S
            print(
                f"{protocol}: {len(seconds)} discharges, {soon.sum()} alerts within {LATE_S:g} s "
                f"of them, {received.num_wrong} wrong signatures; from the discharge being "
                f"published to the webhook median {np.median(delays):.2f} s, at most "
                f"{delays.max():.2f} s; of it the protocol alone median "
                f"{np.median(alone):.2f} s, the rule of the alarm {np.median(rule_s):.2f} s"
            )
            print(f"{protocol}: {' '.join(f'{one:.2f}' for one in delays)}")
            rows.append(
                [protocol, len(seconds), int(soon.sum()), received.num_wrong]
                + [round(float(one), 2) for one in (np.median(delays), delays.max())]
                + [round(float(one), 2) for one in (np.median(alone), np.median(rule_s))]
            )
    if given.out:
        columns = [
            *("protocol", "discharges", f"alerts within {LATE_S:g} s", "wrong signatures"),
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
