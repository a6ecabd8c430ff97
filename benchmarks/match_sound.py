"""How many excerpts banks find by their sound, and how often they take other sound for a copy.

    python benchmarks/match_sound.py FOLDER … --speech FOLDER --out match_sound.json

Files with sound, with pictures or without, are items; each is known by its first two minutes. An
excerpt of 20 s is copied with each edit by the ffmpeg command line and looked up. It is found where
a stretch of its item is at most 0.5 s from where the excerpt was taken, or 1 s where its speed was
changed. The share is that of the excerpts' moments which agree, over all of them.

False matches are counted over pairs of different files: of whole items, and of all copies of one
file with the item of another. The bound of the share of pairs that match is the exact 95 % one
(Clopper and Pearson), as if pairs were independent, which those of one composer are not.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import av
import numpy as np
from match import bound_of
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write

from pipeline import app
from pipeline.config import IngestApp
from pipeline.copies import sound_matching
from pipeline.copies.records import sound_records
from pipeline.copies.sound_matching import SoundStretch
from pipeline.footage import foreign, printing

KNOWN_S, AT_S, LENGTH_S = 120.0, 31.3, 20.0
RATE_HZ = 44_100
MAX_OFF_S, MAX_OFF_AT_OTHER_SPEED_S = 0.5, 1.0

Waves = NDArray[np.float64]
Coding = tuple[str, ...]
"""The suffix of a file, and arguments of ffmpeg."""
AAC: Coding = ("m4a", "-c:a", "aac", "-b:a", "128k")
AMR = "3gp"
"""The suffix of a copy in AMR, the codec of mobile telephones, which the command line of ffmpeg
cannot write; its argument is the bit rate."""
TELEPHONE = "highpass=f=300,lowpass=f=3400"


@dataclass(frozen=True)
class Edit:
    """What becomes of an excerpt.

    Attributes:
        filters: of ffmpeg.
        coding: of the copy.
        over: what is laid over it, "noise" or "speech"; None for nothing.
        snr_db: by how much the excerpt is louder than that.
        speed: how fast the filters play it.
        length_s: of the excerpt.
    """

    filters: str = "anull"
    coding: Coding = AAC
    over: str | None = None
    snr_db: float = 0.0
    speed: float = 1.0
    length_s: float = LENGTH_S


def _raised(speed: float) -> Edit:
    return Edit(f"asetrate={RATE_HZ * speed:.0f},aresample={RATE_HZ}", speed=speed)


EDITS = {
    "AAC, 64 kbit/s": Edit(coding=("m4a", "-c:a", "aac", "-b:a", "64k")),
    "AAC, 24 kbit/s, mono": Edit(coding=("m4a", "-c:a", "aac", "-b:a", "24k", "-ac", "1")),
    "MP3, 48 kbit/s": Edit(coding=("mp3", "-c:a", "libmp3lame", "-b:a", "48k")),
    "Opus, 16 kbit/s": Edit(coding=("opus", "-c:a", "libopus", "-b:a", "16k")),
    "20 dB quieter": Edit("volume=-20dB"),
    "telephone, 300 to 3,400 Hz": Edit(
        TELEPHONE,
        ("wav", "-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"),
    ),
    "telephone, AMR, 12.2 kbit/s": Edit(TELEPHONE, (AMR, "12200")),
    "telephone, AMR, 4.75 kbit/s": Edit(TELEPHONE, (AMR, "4750")),
    "300 Hz and above": Edit("highpass=f=300"),
    "3,400 Hz and below": Edit("lowpass=f=3400"),
    "telephone, AMR, and speech 10 dB below": Edit(
        TELEPHONE, (AMR, "12200"), over="speech", snr_db=10
    ),
    "telephone, AMR, and 1.02 times as fast, same pitch": Edit(
        f"{TELEPHONE},atempo=1.02", (AMR, "12200"), speed=1.02
    ),
    "AAC, 24 kbit/s, mono, and pink noise 10 dB below": Edit(
        coding=("m4a", "-c:a", "aac", "-b:a", "24k", "-ac", "1"), over="noise", snr_db=10
    ),
    "AAC, 24 kbit/s, mono, and 1.02 times as fast, same pitch": Edit(
        "atempo=1.02", ("m4a", "-c:a", "aac", "-b:a", "24k", "-ac", "1"), speed=1.02
    ),
    "filmed: echoes, 200 to 5,000 Hz, noise 15 dB below": Edit(
        "highpass=f=200,lowpass=f=5000,aecho=0.8:0.8:23|41|67|97:0.5|0.35|0.25|0.15",
        ("m4a", "-c:a", "aac", "-b:a", "64k", "-ac", "1"),
        over="noise",
        snr_db=15,
    ),
    "pink noise 10 dB below": Edit(over="noise", snr_db=10),
    "pink noise as loud": Edit(over="noise"),
    "speech 10 dB below": Edit(over="speech", snr_db=10),
    "speech as loud": Edit(over="speech"),
    "1.02 times as fast, same pitch": Edit("atempo=1.02", speed=1.02),
    "1.02 times as fast, higher": _raised(1.02),
    "1.05 times as fast, same pitch": Edit("atempo=1.05", speed=1.05),
    "1.05 times as fast, higher": _raised(1.05),
    "1.25 times as fast, same pitch": Edit("atempo=1.25", speed=1.25),
    "1.25 times as fast, higher": _raised(1.25),
    "10 s of it": Edit(length_s=10),
    "7 s of it": Edit(length_s=7),
}


@dataclass(frozen=True)
class Item:
    """A file, and what a bank holds of its sound."""

    path: Path
    times_ms: NDArray[np.uint32]
    prints: NDArray[np.uint32]
    narrow_times_ms: NDArray[np.uint32]
    narrow_prints: NDArray[np.uint32]

    @property
    def records(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """As a bank holds them: of all sound, and of the narrow band."""
        narrow = sound_records(self.narrow_times_ms, self.narrow_prints)
        return sound_records(self.times_ms, self.prints), narrow


@dataclass
class Pairs:
    """What was told of pairs of different files."""

    num_pairs: int
    num_prints: int = 0
    matched: set[tuple[Path, Path]] = field(default_factory=set)

    def look_up(self, one: Item, other: Item) -> None:
        """Look sound up where it does not come from."""
        self.num_prints += len(one.prints)
        found = sound_matching.of_both(one.records, other.records)
        if found and (one.path, other.path) not in self.matched:
            self.matched.add((one.path, other.path))
            print(f"matches: {one.path} in {other.path}: {found[0]}", flush=True)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Pairs, items of Chromaprint looked up, pairs that match, and the bound of their share."""
        num_wrong = len(self.matched)
        bound = bound_of(num_wrong, self.num_pairs)
        return self.num_pairs, self.num_prints, num_wrong, bound and round(bound, 5)


def is_right(stretch: SoundStretch, edit: Edit) -> bool:
    """Whether a stretch of a copy begins where the excerpt was taken from."""
    off_s = abs(AT_S + stretch.start_s * edit.speed - stretch.item_start_s)
    return off_s <= (MAX_OFF_S if edit.speed == 1 else MAX_OFF_AT_OTHER_SPEED_S)


def mixed(sound: Waves, over: Waves, snr_db: float) -> Waves:
    """Lay something over sound, both (n, channels), at a ratio of their powers, in −1 to 1."""
    power, over_power = np.square(sound).mean(), np.square(over).mean()
    gain = np.sqrt(power / max(float(over_power), 1e-12)) * 10 ** (-snr_db / 20)
    both = sound + gain * over
    return np.asarray(both / max(1.0, float(np.abs(both).max())))


def pink(num: int, seed: int) -> Waves:
    """Noise whose power falls with the frequency, (num, 1)."""
    white = np.fft.rfft(np.random.default_rng(seed).normal(size=num))
    white[1:] /= np.sqrt(np.arange(1, white.size))
    white[0] = 0
    return np.fft.irfft(white, num)[:, None]


def ffmpeg(source: Path, target: Path, *arguments: str) -> None:
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-map", "0:a:0", "-vn"]
    subprocess.run([*command, *arguments, str(target)], check=True, stdin=subprocess.DEVNULL)


def encoded(source: Path, target: Path, arguments: Sequence[str]) -> None:
    """Write a copy with a codec, after what was done to it."""
    if target.suffix != f".{AMR}":
        ffmpeg(source, target, *arguments)
        return
    narrow = target.with_name("narrow.wav")
    ffmpeg(source, narrow, "-ar", "8000", "-ac", "1")
    with av.open(str(narrow)) as given, av.open(str(target), "w", format=AMR) as copy:
        track = copy.add_stream("libopencore_amrnb", rate=8000, layout="mono")
        track.bit_rate = int(arguments[0])
        for frame in given.decode(audio=0):
            copy.mux(track.encode(frame))
        copy.mux(track.encode(None))


def read_wave(path: Path) -> Waves:
    """Samples of 16 bits as (n, channels) in −1 to 1."""
    with wave.open(str(path)) as file:
        data = file.readframes(file.getnframes())
        return np.frombuffer(data, "<i2").reshape(-1, file.getnchannels()) / 32768


def write_wave(path: Path, samples: Waves) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((samples.shape[1], 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())


def files_in(folders: Sequence[Path]) -> Iterator[list[Path]]:
    """All files of each folder, in order of their names."""
    for folder in folders:
        yield sorted(path for path in folder.rglob("*") if path.is_file())


def item_of(path: Path, cfg: IngestApp) -> Item:
    """A file as banks know it, without the sandbox: these files are trusted."""
    limits = foreign.DecodingLimits(cfg.max_pixels, cfg.max_duration_s, cfg.max_output_mb)
    return Item(path, *printing.sounds(path, limits, [], KNOWN_S))


def items_in(folder: list[Path], most: int, min_s: float, cfg: IngestApp) -> list[Item]:
    """The first files of a folder whose sound lasts long enough."""
    found: list[Item] = []
    for path in folder:
        if len(found) == most:
            break
        item = item_of(path, cfg)
        if len(item.prints) and item.times_ms[-1] >= 1000 * min_s:
            found.append(item)
    return found


def speech_in(folder: Path, work: Path) -> Waves:
    """A minute and more of the files of a folder, one after the other, (n, 1)."""
    parts: list[Waves] = []
    (paths,) = files_in([folder])
    for path in paths:
        if sum(len(part) for part in parts) > 90 * RATE_HZ:
            break
        ffmpeg(path, work / "speech.wav", "-ar", f"{RATE_HZ}", "-ac", "1")
        parts.append(read_wave(work / "speech.wav"))
    return np.concatenate(parts)


def copy_of(excerpt: Path, edit: Edit, speech: Waves, number: int, work: Path) -> Path:
    """A copy of an excerpt, a file of waves, with an edit; the number is that of its item."""
    suffix, *arguments = edit.coding
    target, edited = work / f"copy.{suffix}", work / "edited.wav"
    filters = f"atrim=duration={edit.length_s:g},{edit.filters}"
    if edit.over is None and suffix != AMR:
        ffmpeg(excerpt, target, "-af", filters, *arguments)
        return target
    ffmpeg(excerpt, edited, "-af", filters)
    if edit.over is None:
        encoded(edited, target, arguments)
        return target
    sound = read_wave(edited)
    if edit.over == "noise":
        over = pink(len(sound), number)
    else:
        over = np.roll(speech, -7 * RATE_HZ * number, axis=0)[: len(sound)]
    write_wave(edited, mixed(sound, over, edit.snr_db))
    encoded(edited, target, arguments)
    return target


def look_up_copies(
    items: list[Item], edits: Sequence[str], speech: Waves, work: Path, cfg: IngestApp, wrong: Pairs
) -> list[Sequence[Cell]]:
    """Copy every item with every edit and look the copies up, in other items as well."""
    num_found, num_of_all = dict.fromkeys(edits, 0), dict.fromkeys(edits, 0)
    shares = dict.fromkeys(edits, 0.0)
    for number, item in enumerate(items):
        excerpt = work / "excerpt.wav"
        filters = f"atrim=start={AT_S}:duration={LENGTH_S},asetpts=PTS-STARTPTS"
        ffmpeg(item.path, excerpt, "-af", filters, "-ar", f"{RATE_HZ}", "-ac", "2")
        missed = []
        for name in edits:
            edit = EDITS[name]
            copy = item_of(copy_of(excerpt, edit, speech, number, work), cfg)
            found = sound_matching.of_both(copy.records, item.records)
            right = [one for one in found if is_right(one, edit)]
            of_all = sound_matching.stretches(copy.times_ms, copy.prints, item.records[0])
            num_found[name] += bool(right)
            num_of_all[name] += any(is_right(one, edit) for one in of_all)
            missed += [] if right else [name]
            shares[name] += sum(one.num_items for one in right) / max(1, len(copy.prints))
            for other in items:
                if other is not item:
                    wrong.look_up(replace(copy, path=item.path), other)
        print(f"{item.path}: not found: {'; '.join(missed) or 'nothing'}", flush=True)
    return [
        (name, num_found[name], num_of_all[name], len(items), round(shares[name] / len(items), 3))
        for name in edits
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--speech", type=Path, required=True, help="folder of files of speech")
    parser.add_argument("--min-seconds", type=float, default=60.0, help="of an item")
    parser.add_argument("--most", type=int, default=30, help="items of a folder")
    parser.add_argument("--edits", nargs="*", default=list(EDITS), help="only these")
    parser.add_argument("--out", type=Path, help="file of JSON")
    options = parser.parse_args()
    cfg = app.compose("ingest")
    items = [
        item
        for folder in files_in(options.folders)
        for item in items_in(folder, options.most, options.min_seconds, cfg)
    ]
    num_prints = sum(len(item.prints) for item in items)
    size = f"{len(items)} files, known by {num_prints} items of Chromaprint"
    print(size, flush=True)
    whole = Pairs(len(items) * (len(items) - 1) // 2)
    for one, other in combinations(items, 2):
        whole.look_up(one, other)
    copied = Pairs(len(items) * (len(items) - 1))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        speech = speech_in(options.speech, work)
        shares = look_up_copies(items, options.edits, speech, work, cfg, copied)
    wrong = [("whole files", *whole.cells), ("copies of excerpts", *copied.cells)]
    for row in (*shares, *wrong):
        print(*row, sep="  ")
    if options.out:
        columns = (
            "looked up",
            "pairs of files",
            "items looked up",
            "match",
            "bound of their share",
        )
        write(
            options.out,
            Outcome(
                Path(__file__).name,
                f"Excerpts of {size}, of {', '.join(folder.name for folder in options.folders)}.",
                [
                    Table(
                        "Excerpts found",
                        ("edit", "found", "by all sound alone", "of", "share of moments"),
                        shares,
                    ),
                    Table("Sound taken for that of another file", columns, wrong),
                ],
            ),
        )


if __name__ == "__main__":
    main()
