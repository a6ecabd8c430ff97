"""How many edited copies of a clip fall into its cluster, and how many other clips do.

    python benchmarks/copies.py FOLDER --seconds 4 --out docs/results/benchmarks/copies.json

The first seconds of each file of a collection are copied with each edit by the ffmpeg command
line, and original and copy go through the canonical path of ingest. Recall is the share of a
copy's clips that fall into the cluster of the whole recording, each by itself. False matches are
counted over all pairs of clips of different recordings in the whole files, unedited; the bound is
the exact 95 % one (Clopper and Pearson) over pairs of recordings, as clips of one are not
independent.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write
from scipy.stats import beta

from pipeline import app
from pipeline.config import IngestApp, SplitApp
from pipeline.copies import duplicates, fingerprint
from pipeline.footage import canonical, foreign
from pipeline.footage.collection import read_index
from pipeline.store import video

CRF, WIDTH = 23, 480
_FILMED = (
    "pad=iw*1.12:ih*1.16:(ow-iw)/2:(oh-ih)/2:color=0x1c1c20,"
    "perspective=x0=W*0.02:y0=H*0.03:x1=W*0.99:y1=0:x2=0:y2=H*0.98:x3=W*0.97:y3=H:"
    "sense=destination,rotate=1.5*PI/180,gblur=sigma=1.2,noise=alls=12:allf=t,"
    "eq=contrast=0.85:brightness=0.04:gamma=1.1"
)
EDITS: dict[str, tuple[str, int]] = {
    # name: (filter of ffmpeg, quality of the encoder: 51 is worst)
    "re-encoded": ("null", 28),
    "re-encoded, strongly": ("null", 42),
    "half the size": ("scale=iw/2:ih/2", CRF),
    "quarter of the size": ("scale=iw/4:ih/4", CRF),
    "letterbox": ("pad=iw:ih*1.3:0:(oh-ih)/2", CRF),
    "border all round": ("pad=iw*1.25:ih*1.25:(ow-iw)/2:(oh-ih)/2", CRF),
    "mirrored": ("hflip", CRF),
    "text": (
        "drawtext=text='Example text 2026':fontsize=w/12:x=(w-tw)/2:y=h*0.75:"
        "fontcolor=white:borderw=2",
        CRF,
    ),
    "logo": ("drawbox=x=iw/2+ih*0.25:y=ih*0.05:w=ih*0.2:h=ih*0.12:color=orange:t=fill", CRF),
    "large overlay": ("drawbox=x=iw*0.25:y=ih*0.55:w=iw*0.5:h=ih*0.4:color=navy:t=fill", CRF),
    "picture in picture": (
        "split[a][b];[b]scale=iw*0.3:ih*0.3,negate,hue=h=90[c];[a][c]overlay=W*0.5:H*0.05",
        CRF,
    ),
    "trimmed by 0.25 s": ("trim=start=0.25,setpts=PTS-STARTPTS", CRF),
    "trimmed by 0.53 s": ("trim=start=0.533,setpts=PTS-STARTPTS", CRF),
    "1.25 times as fast": ("setpts=PTS/1.25", CRF),
    "0.8 times as fast": ("setpts=PTS*1.25", CRF),
    "brighter": ("eq=brightness=0.15:contrast=1.1", CRF),
    "darker": ("eq=brightness=-0.15:gamma=0.8", CRF),
    "grey": ("hue=s=0", CRF),
    "blurred": ("gblur=sigma=4", CRF),
    "noisy": ("noise=alls=40:allf=t", CRF),
    "cropped by 5 %": ("crop=iw*0.95:ih*0.95", CRF),
    "cropped by 10 %": ("crop=iw*0.9:ih*0.9", CRF),
    "cropped by 10 %, in a corner": ("crop=iw*0.9:ih*0.9:0:0", CRF),
    "cropped by 20 %": ("crop=iw*0.8:ih*0.8", CRF),
    "cropped by 20 %, in a corner": ("crop=iw*0.8:ih*0.8:0:0", CRF),
    "rotated by 3°": ("rotate=3*PI/180", CRF),
    "rotated by 5°": ("rotate=5*PI/180", CRF),
    "mirrored, text, cropped by 5 %": (
        "hflip,crop=iw*0.95:ih*0.95,drawtext=text='Example':fontsize=w/12:x=20:y=h*0.8:"
        "fontcolor=white",
        30,
    ),
    "caption in a bar above": (
        "pad=iw:ih*1.2:0:oh-ih:white,drawtext=text='You will not believe this':fontsize=w/16:"
        "x=(w-tw)/2:y=h*0.05:fontcolor=black",
        CRF,
    ),
    "square, with blurred sides": (
        "split[a][b];[a]scale=480:480,gblur=sigma=20[c];[b]scale=480:-2:"
        "force_original_aspect_ratio=decrease[d];[c][d]overlay=(W-w)/2:(H-h)/2",
        CRF,
    ),
    "filmed from a screen": (_FILMED, CRF),
    "mirrored, cropped by 10 %, in a corner": ("hflip,crop=iw*0.9:ih*0.9:0:0", CRF),
    "text, cropped by 10 %": (
        "crop=iw*0.9:ih*0.9,drawtext=text='Example text 2026':fontsize=w/12:x=(w-tw)/2:y=h*0.75:"
        "fontcolor=white:borderw=2",
        CRF,
    ),
    "border all round, re-encoded, strongly": (
        "pad=iw*1.25:ih*1.25:(ow-iw)/2:(oh-ih)/2",
        42,
    ),
    "mirrored, 0.8 times as fast": ("hflip,setpts=PTS*1.25", CRF),
    "large overlay, cropped by 5 %": (
        "crop=iw*0.95:ih*0.95,drawbox=x=iw*0.25:y=ih*0.55:w=iw*0.5:h=ih*0.4:color=navy:t=fill",
        CRF,
    ),
    "filmed from a screen, 1.25 times as fast": (f"{_FILMED},setpts=PTS/1.25", CRF),
}


@dataclass(frozen=True)
class Clips:
    """Clips of a file: their fingerprints, and the hashes of parts and halves of their pictures."""

    fingerprints: NDArray[np.uint8]
    """(N, K, 2, 32)"""
    parts: NDArray[np.uint8]
    """(N, P, 32)"""
    halves: NDArray[np.uint8]
    """(N, 4, K, 2, 32)"""


def read(path: Path, ingest: IngestApp) -> Clips:
    """Put a file through the canonical path."""
    limits = foreign.DecodingLimits(ingest.max_pixels, ingest.max_duration_s, ingest.max_output_mb)
    made = canonical.canonicalise(path, ingest.clip, ingest.stride_frames, limits)
    num_frames = fingerprint.num_hashes(ingest.clip.num_frames)
    if not made.windows:
        return Clips(
            np.zeros((0, num_frames, 2, fingerprint.HASH_BYTES), np.uint8),
            np.zeros((0, fingerprint.NUM_PARTS, fingerprint.HASH_BYTES), np.uint8),
            np.zeros((0, 4, num_frames, 2, fingerprint.HASH_BYTES), np.uint8),
        )
    decoded = [video.decode(window.mp4) for window in made.windows]
    return Clips(
        np.stack([window.fingerprint for window in made.windows]),
        np.stack([fingerprint.part_hashes(frames) for frames in decoded]),
        np.stack([fingerprint.half_hashes(frames) for frames in decoded]),
    )


def ffmpeg(source: Path, target: Path, filters: str, crf: int, seconds: float) -> None:
    command = ["ffmpeg", "-v", "error", "-y", "-t", f"{seconds}", "-i", str(source)]
    command += ["-vf", f"{filters},scale=trunc(iw/2)*2:trunc(ih/2)*2", "-an"]
    command += ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast"]
    subprocess.run([*command, "-crf", str(crf), str(target)], check=True)


def originals(
    collection: Path, work: Path, ingest: IngestApp, seconds: float
) -> Iterator[tuple[str, Path, Clips]]:
    """Recording, its beginning as a file, and the clips of the whole."""
    for number, row in enumerate(read_index(collection)):
        path = work / f"{number}.mp4"
        try:
            whole = read(collection / row.path, ingest)
            ffmpeg(collection / row.path, path, f"scale={WIDTH}:-2", 12, seconds)
            if len(whole.parts):
                yield row.recording, path, whole
        except (subprocess.CalledProcessError, foreign.DecodeError) as error:
            print(f"left out: {row.path}: {error}")


def rule(cfg: SplitApp) -> duplicates.Rule:
    return duplicates.Rule(
        cfg.max_distance, cfg.max_single_distance, cfg.max_half_distance, cfg.num_tables
    )


def joined(
    files: list[Clips], owners: list[str], copies: list[Clips], cfg: SplitApp, parts: bool
) -> tuple[NDArray[np.int64], list[int]]:
    """Clusters of all clips, each copied clip by itself; and how many clips each entry has."""
    sizes = [len(clips.fingerprints) for clips in files + copies]
    names = sorted(set(owners))
    labels = np.repeat([names.index(owner) for owner in owners], sizes[: len(files)])
    labels = np.concatenate([labels, len(names) + np.arange(sum(sizes[len(files) :]))])
    found = duplicates.clusters(
        labels,
        np.concatenate([clips.fingerprints for clips in files + copies]),
        rule(cfg),
        parts=np.concatenate([clips.parts for clips in files + copies]) if parts else None,
        halves=np.concatenate([clips.halves for clips in files + copies]) if parts else None,
    )
    return found, sizes


def recall(
    files: list[Clips], owners: list[str], copies: list[Clips], cfg: SplitApp, parts: bool
) -> float:
    """Share of the copied clips in the cluster of the original, `copies[i]` of `files[i]`."""
    found, sizes = joined(files, owners, copies, cfg, parts)
    pieces = np.split(found, np.cumsum(sizes)[:-1])
    hits = [pieces[len(files) + i] == pieces[i][0] for i in range(len(files)) if len(pieces[i])]
    return float(np.concatenate(hits).mean())


def match(a: Clips, b: Clips, cfg: SplitApp, parts: bool) -> NDArray[np.bool_]:
    """Which clips of `a` match which of `b`: (N, M)."""
    one, two = duplicates.distances(a.fingerprints, b.fingerprints)
    found = (two <= cfg.max_distance) | (one <= cfg.max_single_distance)
    if parts:
        near = duplicates.part_distances(a.parts, b.fingerprints)
        near = np.minimum(near, duplicates.part_distances(b.parts, a.fingerprints).T)
        found |= near <= cfg.max_single_distance
        for half in range(a.halves.shape[1]):
            one, _ = duplicates.distances(a.halves[:, half], b.halves[:, half])
            found |= one <= cfg.max_half_distance
    return found


def false_matches(
    files: list[Clips], owners: list[str], cfg: SplitApp, parts: bool
) -> dict[str, float]:
    """Pairs of clips, and of recordings, that match although they are of different recordings."""
    names = sorted(set(owners))
    of = {
        name: [clips for clips, owner in zip(files, owners, strict=True) if owner == name]
        for name in names
    }
    pairs, matched, wrong = 0, 0, []
    for a, b in combinations(names, 2):
        count = sum(match(left, right, cfg, parts).sum() for left in of[a] for right in of[b])
        pairs += sum(len(x.fingerprints) for x in of[a]) * sum(len(x.fingerprints) for x in of[b])
        matched += int(count)
        if count:
            wrong.append((a, b, int(count)))
            print(f"taken for copies: {count} pairs of clips of {a} and {b}")
    num = len(names) * (len(names) - 1) // 2
    bound = float(beta.ppf(0.95, len(wrong) + 1, num - len(wrong)))
    return {
        "pairs of clips": pairs,
        "matched": matched,
        "pairs of recordings": num,
        "matched recordings": len(wrong),
        "bound of their share": round(bound, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--out", type=Path, help="file of JSON for docs/results.md")
    parser.add_argument("--edits", nargs="*", default=list(EDITS), help="only these")
    options = parser.parse_args()
    ingest, cfg = app.compose("ingest"), app.compose("split")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        entries = list(originals(options.collection, work, ingest, options.seconds))
        owners = [owner for owner, *_ in entries]
        whole = [e[2] for e in entries]
        false: list[Sequence[Cell]] = []
        for parts in (False, True):
            found = false_matches(whole, owners, cfg, parts)
            print(found)
            false.append(("with parts" if parts else "frames", *found.values()))
        shares: list[Sequence[Cell]] = []
        print(f"{'edit':<34} {'frames':>8} {'+ parts':>8}")
        for edit in options.edits:
            filters, crf = EDITS[edit]
            copies = []
            for _, path, *_ in entries:
                target = work / "copy.mp4"
                ffmpeg(path, target, filters, crf, 60)
                copies.append(read(target, ingest))
            with_and_without = [recall(whole, owners, copies, cfg, p) for p in (False, True)]
            shares.append((edit, *(round(share, 3) for share in with_and_without)))
            print(f"{edit:<34} {with_and_without[0]:>8.3f} {with_and_without[1]:>8.3f}", flush=True)
    if options.out:
        write(
            options.out,
            Outcome(
                Path(__file__).name,
                f"The share of {len(entries)} clips of a foreign collection whose edited copy "
                "falls into their cluster, by frames alone and with `find_parts`.",
                [
                    Table("Copies that are found", ("edit", "frames", "with parts"), shares),
                    Table("Pairs taken for copies", ("search", *found), false),
                ],
            ),
        )


if __name__ == "__main__":
    main()
