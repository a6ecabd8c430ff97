"""How well a game is told from real footage by a detector that never saw it.

    python benchmarks/leave_one_out.py --leave arcade --leave freedoom,vizdoom --leave cinema

Needs the packed samples of `dvc repro`. For each group of sources (name prefixes between commas)
it trains with the committed configuration, without the group, once for each of `--seeds`, and
prints the AUROC of origin for the clips of test and unseen, real ones against those of the group,
and for each `--collection`; beside it that of the committed weights, which saw other clips of the
group. Cells are means over seeds ± half of their 95 % interval (Student's t) and, in brackets,
the mean interval over recordings.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from runs import MEASURES, cell, collection_clips, judged, markdown, packed_clips, training

from pipeline import app
from pipeline.config import Paths
from pipeline.errors import UserError
from pipeline.store.packed_samples import INDEX, Packed
from pipeline.store.shards import link


def without(packed: Packed, group: tuple[str, ...], folder: Path) -> Packed:
    """Give the samples once more, with those of a group of sources out of training's reach."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in Path(packed.root).iterdir():
        if path.name != INDEX:
            link(path.resolve(), folder / path.name)
    index = packed.index
    splits = [
        "unseen" if source.startswith(group) else split
        for source, split in zip(
            index["source"].to_pylist(), index["split"].to_pylist(), strict=True
        )
    ]
    place = index.schema.get_field_index("split")
    pq.write_table(index.set_column(place, "split", pa.array(splits)), folder / INDEX)
    return Packed.open(folder, folder)


def judged_rows(packed: Packed, group: tuple[str, ...]) -> list[int]:
    """Rows that no training saw: real clips, and those of a group, of test and unseen.

    Raises:
        UserError: there are none of one of the two.
    """
    index = packed.index.to_pylist()
    rows = [
        number
        for number, row in enumerate(index)
        if row["variant"] is None
        and row["split"] in ("test", "unseen")
        and (row["origin"] == "real" or row["source"].startswith(group))
    ]
    if len({index[row]["origin"] == "real" for row in rows}) < 2:
        raise UserError(
            f"{packed.root}/{INDEX}: test and unseen hold no real clip or none of "
            f"{', '.join(group)}; hold other sources out in conf/split.yaml"
        )
    return rows


def run(arguments: argparse.Namespace) -> None:
    paths: Paths = app.compose("train", *arguments.overrides).paths
    work = Path(paths.work, "leave-one-out")
    packed = Packed.open(paths.packed, work)
    groups = [tuple(names.split(",")) for names in arguments.leave]
    rows = {group: judged_rows(packed, group) for group in groups}
    collections = [collection_clips(folder, work) for folder in arguments.collection]
    columns = ["clips", *(column for one in collections for column in one.columns)]
    lines = []
    for group, numbers in rows.items():
        clips = packed_clips("clips", packed, numbers)
        wanted = [clips, *collections]
        samples = without(packed, group, work / "-".join(group))
        found = []
        for seed in map(int, arguments.seeds.split(",")):
            job = training(samples, [*arguments.overrides, f"seed={seed}"], work / "runs")
            found.append(judged(job.run(), wanted, work))
            shown = [f"{one} {cell('origin', [found[-1][one]['origin']])}" for one in columns]
            print(f"without {', '.join(group)}, seed {seed}: {', '.join(shown)}", flush=True)
        known = judged(Path(paths.models), [clips], work)
        lines.append(
            [
                ", ".join(group),
                str(sum(origin != "real" for origin in clips.table["origin"].to_pylist())),
                *(cell("origin", [one[column]["origin"] for one in found]) for column in columns),
                cell("origin", [known["clips"]["origin"]]),
            ]
        )
    header = ["left out", "its clips", *(f"without it: {one}" for one in columns)]
    print(f"\n{MEASURES['origin']}:\n")
    print(markdown([*header, "committed weights: clips"], lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--leave", action="append", required=True, metavar="PREFIX[,PREFIX]")
    parser.add_argument("--seeds", default="1,2,3", metavar="N[,N]")
    parser.add_argument("--collection", action="append", default=[], metavar="FOLDER")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for train.py")
    try:
        run(parser.parse_intermixed_args())
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
