"""Contact sheets of what `dvc repro` rendered: one picture an engine, a recording a row.

    python benchmarks/contact_sheets.py [--out docs/engines] [--rows 6]

A row shows six moments of a file, the first of them at a discharge where there is one. Rows are
spread over the sources of a collection, and half of them hold a discharge where they can; the files
of one recording (twins) stand below each other.
"""

from __future__ import annotations

import argparse
import io
import itertools
from pathlib import Path

import av
import numpy as np
from PIL import Image

from pipeline import app
from pipeline.footage.collection import IndexRow, read_index
from pipeline.stages.synthesize import ENGINES
from pipeline.store import video

_COLUMNS = 6
_SIZE = 160, 90
_QUALITY = 80


def choose(rows: list[IndexRow], count: int) -> list[IndexRow]:
    """Pick recordings by turns from every combination of source and discharge."""
    recordings: dict[str, list[IndexRow]] = {}
    for row in rows:
        recordings.setdefault(row.recording, []).append(row)
    groups: dict[tuple[str, bool], list[list[IndexRow]]] = {}
    for files in recordings.values():
        groups.setdefault((files[0].source, files[0].discharge), []).append(files)
    turns = itertools.chain.from_iterable(
        itertools.zip_longest(*(groups[k] for k in sorted(groups)))
    )
    return list(itertools.chain.from_iterable(files for files in turns if files))[:count]


def strip(folder: Path, row: IndexRow) -> np.ndarray:
    """Six moments of a recording side by side, uint8 (H, W, 3) RGB."""
    mp4 = (folder / row.path).read_bytes()
    frames = video.decode(mp4)
    with av.open(io.BytesIO(mp4)) as container:
        rate = container.streams.video[0].average_rate
        assert rate is not None, row.path
        fps = float(rate)
    moments = np.linspace(0, len(frames) - 1, _COLUMNS).astype(int)
    if row.discharges_s:
        # A short exposure may miss the flash of the first frame.
        first = int(row.discharges_s[0] * fps)
        near = range(first, min(first + 3, len(frames)))
        moments[0] = max(near, key=lambda number: float(frames[number].mean()))
    pictures = []
    for number in moments:
        picture = Image.fromarray(frames[number])
        picture.thumbnail(_SIZE, Image.Resampling.LANCZOS)
        canvas = Image.new("RGB", _SIZE)
        canvas.paste(picture, ((_SIZE[0] - picture.width) // 2, (_SIZE[1] - picture.height) // 2))
        pictures.append(np.asarray(canvas))
    return np.hstack(pictures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/engines"))
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    synthetic = Path(app.compose("synthesize", *arguments.overrides).paths.synthetic)
    for engine in ENGINES:
        folder = synthetic / engine
        if not folder.is_dir():
            print(f"{engine}: not rendered")
            continue
        rows = choose(read_index(folder), arguments.rows)
        sheet = np.vstack([strip(folder, row) for row in rows])
        target = arguments.out / f"{engine}.jpg"
        Image.fromarray(sheet).save(target, quality=_QUALITY, optimize=True)
        print(f"{target}: {target.stat().st_size // 1024} kB: {', '.join(r.path for r in rows)}")


if __name__ == "__main__":
    main()
