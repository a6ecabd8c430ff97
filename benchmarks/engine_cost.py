"""CPU seconds of each footage engine a recording, a clip and a frame.

    python benchmarks/engine_cost.py [--recordings 6] [--out FILE] [engine ...]

Recordings are drawn as the committed configuration draws them, one after the other, encoding
included. The first recording of an engine compiles code and is left out. Processes that an engine
starts are counted. How many clips a recording becomes is taken from `data/clips` for the engines
that `dvc repro` rendered; for the others it is what fits into its length.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from outcome import Cell, Outcome, Table, write

from pipeline import app
from pipeline.engines.take import UnusableDraw
from pipeline.stages.synthesize import ENGINES
from pipeline.store import manifest, video
from pipeline.store.manifest import File


def cpu_s() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recordings", type=int, default=6)
    parser.add_argument("--out", type=Path, help="file of JSON for docs/results.md")
    parser.add_argument("engines", nargs="*", default=ENGINES, metavar="engine")
    arguments = parser.parse_args()
    cfg = app.compose("synthesize")
    ingest = app.compose("ingest")
    clip_s = ingest.clip.num_frames / ingest.clip.fps
    rows: list[Sequence[Cell]] = []
    files = list(manifest.read_rows(Path(ingest.paths.clips, manifest.FILES), File))
    for engine in arguments.engines:
        module = import_module(f"pipeline.engines.{engine}")
        absent = module.missing() if hasattr(module, "missing") else None
        if absent is not None:
            print(f"{engine}: {absent}")
            continue
        settings = getattr(cfg, engine)
        rendered = [file.num_clips for file in files if file.collection == engine]
        recordings = fit = num_takes = frames = dropped = 0
        spent = 0.0
        for index in range(arguments.recordings + 1):
            start = cpu_s()
            try:
                takes = module.record(cfg.seed, index, settings)
            except UnusableDraw:
                takes = []
            for take in takes:
                form = take.format
                video.encode(take.frames, form.fps, kbit_s=form.kbit_s, keyint=form.keyint)
            if index == 0:
                continue
            spent += cpu_s() - start
            recordings += bool(takes)
            dropped += not takes
            frames += sum(len(take.frames) for take in takes)
            fit += sum(int(len(take.frames) / take.format.fps / clip_s) for take in takes)
            num_takes += len(takes)
        clips = num_takes * sum(rendered) / len(rendered) if rendered else float(fit)
        row = (spent / recordings, spent / clips, spent / frames)
        rows.append((engine, *(round(value, 3) for value in row), recordings, dropped))
        print(
            f"{engine}: {spent / recordings:.1f} CPU-s a recording, {spent / clips:.2f} a clip, "
            f"{spent / frames:.3f} a frame; {recordings} recordings, {clips:.0f} clips, "
            f"{dropped} dropped",
            flush=True,
        )
    if arguments.out:
        columns = ("engine", "a recording", "a clip", "a frame", "recordings", "dropped")
        write(
            arguments.out,
            Outcome(
                Path(__file__).name,
                "CPU seconds, encoding included; the first recording, which compiles code, is left "
                "out.",
                [Table("Cost of the engines", columns, rows)],
            ),
        )


if __name__ == "__main__":
    main()
