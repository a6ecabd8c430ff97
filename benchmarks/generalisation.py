"""What makes the detector generalise: each part of it taken away or added, over several seeds.

    python benchmarks/generalisation.py --seeds 1,2,3 --parallel 2 --collection ../shared/footage

Needs the outputs of `dvc repro`. A row is a configuration, trained once for each seed on as many
samples as every other. The columns are recordings that no training saw (split test), whole titles
and cameras that none saw (split unseen) and, where given, collections. Cells are means over seeds
± half of their 95 % interval (Student's t) and, in brackets, the mean interval over recordings.
Runs are kept in the work folder: a killed benchmark goes on, and other rows and seeds add to what
is there.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from runs import (
    MEASURES,
    Clips,
    Results,
    Training,
    cell,
    collection_clips,
    judged,
    make,
    markdown,
    packed_clips,
    training,
)

from pipeline import app
from pipeline.config import Paths, TrainConfig, tracked
from pipeline.errors import UserError
from pipeline.store import workdir
from pipeline.store.manifest import MANIFEST
from pipeline.store.packed_samples import Packed

SPLITS = {"test": "new recordings", "unseen": "unseen sources"}
Jobs = dict[tuple[str, int], Training]
"""By the name of the row and the seed."""


@dataclass(frozen=True)
class Row:
    """A configuration: what it overrides of training, of its variants and of its encoder."""

    name: str
    train: tuple[str, ...] = ()
    augment: tuple[str, ...] = ()
    embed: tuple[str, ...] = ()


VARIANTS = ("use_variants=true",)
MADE = "variants_per_clip=1"
UNALTERED = (
    *("alter.mirrored=false", "alter.shift_px=0", "alter.warped=0", "alter.rotation_deg=0"),
    *("alter.zoom=0", "alter.jitter=0", "alter.gamma=0", "alter.noise=0"),
)
ROWS = (
    Row("as configured"),
    Row("no encoder", embed=("pictures.name=none",)),
    Row("smaller pictures for the encoder", embed=("pictures.size=112",)),
    Row("no sound", embed=("sound.name=none",)),
    Row("rendered clips count nothing for the origin", ("rendered_weight.origin=0",)),
    Row("draws that are not altered", UNALTERED),
    Row("variants", VARIANTS, (MADE,)),
    Row("variants but camera", VARIANTS, (MADE, "camera.p=0")),
    Row("variants but sensor", VARIANTS, (MADE, "sensor.p=0")),
    Row("variants but overlays", VARIANTS, (MADE, "overlays.p=0")),
    Row("variants but edits", VARIANTS, (MADE, "edits.p=0")),
)


def samples_of(
    row: Row, paths: Paths, shared: Sequence[str], work: Path
) -> tuple[Packed, list[str]]:
    """Packed samples and features as the row says, made once where it says something.

    `shared` are overrides of paths and of how to run. The second value is what training has to
    override to find the features.
    """
    places: dict[str, Path] = {}
    if row.augment:
        overrides = [*row.augment, "test_variants=false"]
        table = workdir.file_sha256(Path(paths.splits) / MANIFEST)
        code = workdir.code_sha256(
            "stages/augment.py", "stages/pack.py", "transforms", "store/shards.py"
        )
        pack = tracked(app.compose("pack"))
        key = workdir.key(tracked(app.compose("augment", *overrides)), pack, table, code)
        folder = work / "data" / key
        places |= {"augmented": folder / "augmented", "packed": folder / "packed"}
        run_stages(places["packed"], [("augment", *overrides), ("pack",)], places, shared)
    packed = Packed.open(places.get("packed", paths.packed), work)
    if not (row.augment or row.embed):
        return packed, []
    code = workdir.code_sha256("stages/embed.py", "store/features.py", "learn/encoders")
    embed = tracked(app.compose("embed", *row.embed))
    folder = work / "data" / workdir.key(embed, packed.index_sha256, code)
    places["features"] = folder / "features"
    run_stages(places["features"], [("embed", *row.embed)], places, shared)
    return packed, [f"paths.features={places['features']}"]


def run_stages(
    result: Path,
    stages: Sequence[Sequence[str]],
    places: Mapping[str, Path],
    shared: Sequence[str],
) -> None:
    """Run stages, each a name and its overrides, which leave `result`, unless it is there."""
    options = [*shared, *(f"paths.{name}={path}" for name, path in places.items())]
    options += [f"paths.work={result.parent / 'work'}", "run.progress=false"]
    commands = [["-m", "pipeline", *stage, *options] for stage in stages]
    make(result, result.parent / "make.log", *commands)


def table_of(
    measure: str, names: Sequence[str], columns: Sequence[str], results: dict[str, list[Results]]
) -> str:
    """All rows under one measure."""
    lines = []
    for name in names:
        found = results.get(name, [])
        cells = [cell(measure, [one[column][measure] for one in found]) for column in columns]
        lines.append([name, str(len(found)), *cells])
    return f"{MEASURES[measure]}:\n\n{markdown(['', 'seeds', *columns], lines)}\n"


def chosen(names: str | None, extra: Sequence[str]) -> list[Row]:
    """The rows asked for, and those described on the command line.

    Raises:
        UserError: an unknown row.
    """
    rows = list(ROWS)
    if names is not None:
        unknown = sorted(set(names.split(",")) - {row.name for row in ROWS})
        if unknown:
            raise UserError(
                f"--rows: no row {', '.join(unknown)}; there are "
                f"{', '.join(row.name for row in ROWS)}"
            )
        rows = [row for row in ROWS if row.name in names.split(",")]
    for text in extra:
        name, _, overrides = text.partition(":")
        rows.append(Row(name, tuple(overrides.split())))
    return rows


def plan(rows: Sequence[Row], seeds: Sequence[int], overrides: Sequence[str], work: Path) -> Jobs:
    """Every run, a seed of every row before the next, so that a table cut short compares too.

    Raises:
        UserError: an override is wrong, or variants could not be made.
    """
    cfg = app.compose("train", *overrides)
    for row in rows:
        app.compose("train", *overrides, *row.train)
        app.compose("augment", *row.augment)
        app.compose("embed", *row.embed)
    shared = [one for one in overrides if one.startswith(("paths.", "run."))]
    budget = cfg.num_epochs * num_samples(Packed.open(cfg.paths.packed, work), cfg)
    jobs: Jobs = {}
    for seed in seeds:
        for row in rows:
            packed, found = samples_of(row, cfg.paths, shared, work)
            own = [*overrides, *row.train, *found]
            size = num_samples(packed, app.compose("train", *own))
            own += [f"num_epochs={max(1, round(budget / size))}", f"seed={seed}"]
            jobs[row.name, seed] = training(packed, own, work / "runs")
    return jobs


def num_samples(packed: Packed, cfg: TrainConfig) -> int:
    """Samples of an epoch."""
    return len(packed.select(["train"], variants=cfg.use_variants))


def carry_out(
    jobs: Jobs, wanted: Sequence[Clips], work: Path, num_parallel: int
) -> Iterator[tuple[str, int, Results | UserError, float]]:
    """Train and score; yields row, seed, what was found and the seconds it took, as they end."""

    def finish(job: Training) -> tuple[Results | UserError, float]:
        start_s = time.monotonic()
        try:
            return judged(job.run(), wanted, work, job.factory), time.monotonic() - start_s
        except UserError as error:
            return error, time.monotonic() - start_s

    pool = ThreadPoolExecutor(num_parallel)
    try:
        futures = {pool.submit(finish, job): name for name, job in jobs.items()}
        for future in as_completed(futures):
            yield *futures[future], *future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def run(arguments: argparse.Namespace) -> None:
    rows = chosen(arguments.rows, arguments.row)
    paths: Paths = app.compose("train", *arguments.overrides).paths
    work = Path(paths.work, "generalisation")
    packed = Packed.open(paths.packed, work)
    jobs = plan(rows, [int(seed) for seed in arguments.seeds.split(",")], arguments.overrides, work)
    splits = {name: packed.select([split], variants=False) for split, name in SPLITS.items()}
    wanted = [packed_clips(name, packed, of.tolist()) for name, of in splits.items() if len(of)]
    wanted += [collection_clips(folder, work) for folder in arguments.collection]
    columns = [column for clips in wanted for column in clips.columns]
    results: dict[str, list[Results]] = {}
    for name, seed, found, took_s in carry_out(jobs, wanted, work, arguments.parallel):
        if isinstance(found, UserError):
            print(f"{name}, seed {seed}: failed: {found}", flush=True)
            continue
        results.setdefault(name, []).append(found)
        cells = [f"{column} {cell('origin', [found[column]['origin']])}" for column in columns]
        print(f"{name}, seed {seed}, {took_s:.0f} s: origin: {', '.join(cells)}", flush=True)
    for measure in MEASURES:
        print(f"\n{table_of(measure, [row.name for row in rows], columns, results)}")
    num_failed = len(jobs) - sum(map(len, results.values()))
    if num_failed:
        sys.exit(f"{num_failed} of {len(jobs)} runs failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", metavar="NAME[,NAME]", help="only these")
    parser.add_argument(
        "--row",
        action="append",
        default=[],
        metavar="NAME: key=value key=value",
        help="one more, with these overrides of train.py",
    )
    parser.add_argument("--seeds", default="1,2,3", metavar="N[,N]")
    parser.add_argument("--collection", action="append", default=[], metavar="FOLDER")
    parser.add_argument("--parallel", type=int, default=1, help="trainings at a time")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for all rows")
    try:
        run(parser.parse_intermixed_args())
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
