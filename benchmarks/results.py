"""Writes docs/results.md, of which no number is set by hand.

    make results

Copies the small files that the page is made of from `reports/`, `models/` and `probes/` to
`docs/results/`, each with the listing of its folder. The listing is the one of which `dvc.lock`
holds the md5, so that anybody can check in a fresh clone that the copies are those of the committed
run. Benchmarks write their outcomes to `docs/results/benchmarks/` themselves.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from outcome import Cell, Outcome, read

from pipeline.errors import UserError
from pipeline.store.manifest import CLASSES

PROJECT = Path(__file__).resolve().parents[1]
INPUTS = PROJECT / "docs" / "results"
PAGE = PROJECT / "docs" / "results.md"
LOCK = PROJECT / "dvc.lock"
BENCHMARKS = "benchmarks"
DRAW = "draw.json"
COPIED = {
    "models": ("metrics.json",),
    "probes": ("metrics.json",),
    "reports": (
        "headline.json",
        "operating_point.json",
        "scores.parquet",
        "suites/data/composition.csv",
        "suites/discrimination/aurocs.csv",
        "suites/real/aurocs.csv",
        "suites/robustness/edits.csv",
        "suites/robustness/variants.csv",
        "suites/shortcuts/altered.csv",
        "suites/streams/outcome.csv",
    ),
}
"""The files of each output of the pipeline that the page is made of."""
SPLITS = {"test": "test: new recordings of known sources", "unseen": "unseen: sources held out"}
PLAYED = {
    **SPLITS,
    "test_long": "test, long recordings alone",
    "unseen_long": "unseen, long recordings alone",
}
CUES = {
    "container": "container and index: codec, size, rate, length, bytes, bit rate, place in the "
    "file (not who made it or what its notes say)",
    "size": "canonical file size and bit rate",
    "colour": "mean brightness, colour, contrast",
    "border": "border pixels",
    "overlay": "overlay regions: corners, edges, middle",
    "still": "one still frame at 16×16",
    "track": "sound track: presence, codec, rate, channels",
    "loudness": "level, peak and silence of the sound",
    "spectrum": "bandwidth, noise floor and spectrum of the sound",
    "voices": "share of speech and music",
}
ALTERED = {
    "shuffled": "frames in another order",
    "frozen": "one frame for all",
    "normalised": "grey, equally bright",
    "border_only": "the border alone",
    "centre_only": "the centre alone",
    "overlays_only": "regions of overlays alone",
    "still_fiction": "fictional clips that stand still",
    "muted": "no sound",
    "music": "music over the sound",
    "swapped": "sound of something else",
    "late": "sound half a second late",
}
_RECORDINGS = ".num_recordings"
_HEAD = """\
# Results

What the committed detector scores, and what the benchmarks measured. This page is written by `make
results` from `docs/results/`, and no number of it by hand. The files there are copies of those that
`make repro` made, and of what benchmarks wrote; a test holds them to the hashes in `dvc.lock`.
Brackets are 95 % intervals over recordings, and a dash is a number that the data cannot support.
What the questions mean is told by [evaluation](evaluation.md#suites).
"""


def listing(folder: Path) -> bytes:
    """The files of an output and their md5, in the form of which DVC's lock holds the md5."""
    files = (path for path in folder.rglob("*") if path.is_file())
    entries = [
        {
            "md5": hashlib.md5(path.read_bytes()).hexdigest(),
            "relpath": path.relative_to(folder).as_posix(),
        }
        for path in files
    ]
    return json.dumps(sorted(entries, key=lambda entry: entry["relpath"]), sort_keys=True).encode()


def locked(output: str, lock: Path = LOCK) -> str:
    """The md5 that the lock holds for an output that is a folder."""
    for stage in yaml.safe_load(lock.read_text())["stages"].values():
        for out in stage["outs"]:
            if out["path"] == output:
                return str(out["md5"])
    raise UserError(f"{lock}: names no output {output}; run: make repro")


def draw(lock: Path = LOCK) -> dict[str, Any]:
    """How many recordings of each engine the locked run drew, and the sources that it held out."""
    params: dict[tuple[str, str], Any] = {}
    for stage in yaml.safe_load(lock.read_text())["stages"].values():
        for file, values in stage.get("params", {}).items():
            params |= {(file, key): value for key, value in _flat(values)}
    engines = {
        key.removesuffix(_RECORDINGS): number
        for (file, key), number in params.items()
        if file == "conf/synthesize.yaml" and key.endswith(_RECORDINGS)
    }
    return {"engines": engines, "unseen_sources": params["conf/split.yaml", "unseen_sources"]}


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values by their full key: a lock holds those of a whole file nested, others not."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def collect(project: Path, inputs: Path, lock: Path = LOCK) -> None:
    """Copy what the page is made of, with the listings, from the outputs of the locked run.

    Raises:
        UserError: An output is missing, or is not the one that the lock names.
    """
    for output, names in COPIED.items():
        if not (project / output).is_dir():
            raise UserError(f"{project / output}: no such folder; run: make repro, or dvc pull")
        content = listing(project / output)
        if hashlib.md5(content).hexdigest() + ".dir" != locked(output, lock):
            raise UserError(f"{project / output}: is not what {lock} names; run: dvc repro")
        shutil.rmtree(inputs / output, ignore_errors=True)
        for name in names:
            target = inputs / output / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((project / output / name).read_bytes())
        (inputs / f"{output}.dir.json").write_bytes(content)
    (inputs / DRAW).write_text(json.dumps(draw(lock), indent=2) + "\n")


def render(inputs: Path) -> str:
    """Compose the page from the files in `inputs`."""
    sections = [_HEAD, *_sections(inputs)]
    sections += [_benchmark(read(path)) for path in sorted((inputs / BENCHMARKS).glob("*.json"))]
    return "\n".join(sections)


def _sections(inputs: Path) -> Iterator[str]:
    reports = inputs / "reports"
    headline = json.loads((reports / "headline.json").read_text())
    yield _data(inputs)
    yield _scores(reports, headline)
    yield _alerts(reports)
    yield _shortcuts(json.loads((inputs / "probes" / "metrics.json").read_text()))
    yield _altered(reports)
    yield _robustness(reports)
    metrics = json.loads((inputs / "models" / "metrics.json").read_text())
    yield _section(
        "Training",
        f"The weights are those of epoch {metrics['epoch']}, counted from 0.",
        ("loss on train", "loss on val", "AUROC on val of what pixels answer", "of the origin"),
        [
            [_number(metrics.get(name))]
            for name in ("train_loss", "val_loss", "val_auroc", "val_origin_auroc")
        ],
        across=True,
    )


def _data(inputs: Path) -> str:
    drawn = json.loads((inputs / DRAW).read_text())
    cells: dict[str, dict[str, str]] = {}
    for row in _rows(inputs / "reports" / "suites/data/composition.csv"):
        cell = f"{row['num_clips']} of {row['num_recordings']}"
        cells.setdefault(row["split"], {})[row["class"]] = cell
    engines = ", ".join(f"{name} {number}" for name, number in drawn["engines"].items() if number)
    held = ", ".join(f"`{name}`" for name in drawn["unseen_sources"]) or "none"
    return _section(
        "Data",
        f"Recordings drawn of each [engine](rendered.md#engines): {engines}. Sources held out "
        f"whole: {held}. Clips of every class and split, and the recordings that they are of:",
        ("split", *(f"`{name}`" for name in CLASSES)),
        [[split, *(of.get(name, "–") for name in CLASSES)] for split, of in cells.items()],
    )


def _scores(reports: Path, headline: dict[str, Any]) -> str:
    of = {
        (row["part"], row["question"]): _interval(row)
        for row in _rows(reports / "suites/discrimination/aurocs.csv")
    }
    sizes = _sizes(reports)
    of |= {
        (row["part"], row["footage"]): _interval(row)
        for row in _rows(reports / "suites/real/aurocs.csv")
    }
    columns = {
        "origin, real and fictional that no computer rendered": "real",
        "the same with rendered imitations as the real side": "imitations",
        "origin, all clips": "origin",
        "discharge": "discharge",
        "score": "shooting",
    }
    aurocs = _section(
        "Scores",
        "AUROC of each question. What counts is the first column: rendered clips are told in part "
        "by what rendered them. The report says first what the origin was learned from.",
        ("", *columns),
        [
            [f"{SPLITS[p]} ({sizes[p]})", *(of.get((p, name), "–") for name in columns.values())]
            for p in sizes
        ],
    )
    rates = {
        "real shootings found at 1 % false alarms": "tpr_at_fpr_0.01",
        "at 0.1 %": "tpr_at_fpr_0.001",
    }
    rest = {
        "false alarms of the likeliest class": "false_alarms",
        "accuracy over four classes": "accuracy",
        "expected calibration error": "ece",
        "Brier score": "brier",
    }
    rows: list[list[str]] = []
    for name in sizes:
        told = headline[name]
        found = [
            _interval({key: told[f"{rate}.{key}"] for key in ("value", "low", "high")})
            for rate in rates.values()
        ]
        rows.append([name, *found, *(_number(told[key]) for key in rest.values())])
    verdicts = headline["verdicts"]
    colours = {"green": "good", "amber": "caution", "red": "fault", "grey": "cannot be told"}
    counted = ", ".join(f"{verdicts.get(key, 0)} {word}" for key, word in colours.items())
    return (
        aurocs
        + "\n"
        + _table(("", *rates, *rest), rows)
        + f"\nVerdicts of the report: {counted}.\n"
    )


def _sizes(reports: Path) -> dict[str, str]:
    """Clips and recordings of every judged split, and how many of them no computer rendered."""
    scores = pq.read_table(reports / "scores.parquet", columns=["split", "recording", "rendered"])
    sizes = {}
    for split in SPLITS:
        judged = scores.filter(pc.equal(scores["split"], split))
        found = judged.filter(pc.invert(judged["rendered"].cast("bool")))
        counts = [(len(rows), len(pc.unique(rows["recording"]))) for rows in (judged, found)]
        (clips, recordings), (not_rendered, of) = counts
        if clips:
            sizes[split] = (
                f"{clips} clips of {recordings} recordings; {not_rendered} of {of} not rendered"
            )
    return sizes


def _alerts(reports: Path) -> str:
    point = json.loads((reports / "operating_point.json").read_text())
    smoothing = point["smoothing"].replace("_", " ")
    rows = [
        [
            PLAYED[row["part"]],
            f"{60 * float(row['hours']):.1f}",
            row["false_alerts"],
            _range(row, "rate", ",.0f"),
            row["shootings"],
            _range(row, "missed", ".3f"),
            _number(row["median_s"]),
        ]
        for row in _rows(reports / "suites/streams/outcome.csv")
    ]
    return _section(
        "Alerts",
        f"The operating point is a threshold of {_number(point['threshold'])} with smoothing "
        f"`{smoothing}`. {point['says']} The more an encoder knows the world, the less it takes "
        "rendered shootings for real, and all of the default draw are rendered. What this does on "
        "the streams of each split, short and long recordings together and long ones alone; a rate "
        "on short ones, which are cut around what happens in them, is that of no stream:",
        (
            "",
            "minutes without real gunfire",
            "false alerts",
            "in 1,000 h",
            "shootings",
            "share without an alert",
            "half alert within, s",
        ),
        rows,
    )


def _shortcuts(probes: dict[str, Any]) -> str:
    sets = {name: of for name, of in sorted(probes.items(), reverse=True) if "auroc" in of}
    columns = [f"{name} ({of['samples']} samples)" for name, of in sets.items()]
    rows = []
    for asked, told in (
        ("origin", sets),
        ("discharge", {name: of["discharge"] for name, of in sets.items()}),
    ):
        for cue in sorted({cue for of in told.values() for cue in of["auroc"]}, key=_order(CUES)):
            cells = [
                _interval({"auroc": max(of["auroc"][cue].values())} | of["interval"][cue])
                if cue in of["auroc"]
                else "–"
                for of in told.values()
            ]
            rows.append([CUES.get(cue, cue), asked, *cells])
    return _section(
        "Shortcuts",
        "What one cheap cue tells of the origin or the discharge: AUROC of the better of two "
        "classifiers, cross-validated over sources; 0.5 is nothing to find. The interval is over "
        "recordings and does not say what other sources would give. [What was done about "
        "each](rendered.md#shortcuts).",
        ("cue", "asked", *columns),
        rows,
    )


def _altered(reports: Path) -> str:
    cells: dict[str, dict[str, str]] = {}
    for row in _rows(reports / "suites/shortcuts/altered.csv"):
        cells.setdefault(row["altered"], {})[row["question"]] = _interval(row)
    return _section(
        "Clips without a cue",
        "What the detector tells when something is taken away or left alone: AUROC on test.",
        ("clips", "origin", "score"),
        [
            [ALTERED.get(name, name), of.get("origin", "–"), of.get("shooting", "–")]
            for name, of in sorted(cells.items(), key=lambda item: _order(ALTERED)(item[0]))
        ],
    )


def _robustness(reports: Path) -> str:
    variants = [
        [row["strength"], _interval(row, "origin_"), _interval(row, "shooting_")]
        for row in _rows(reports / "suites/robustness/variants.csv")
    ]
    told = _section(
        "Robustness",
        "Three frozen variants of each test clip, of one transform each: AUROC.",
        ("strength", "origin", "score"),
        variants,
    )
    strengths = ("none", "mild", "medium", "severe")
    edits: dict[str, dict[str, str]] = {}
    for row in _rows(reports / "suites/robustness/edits.csv"):
        edits.setdefault(row["edit"], {})[row["strength"]] = _number(row["origin_auroc"])
    rows = [[edit, *(of.get(name, "") for name in strengths)] for edit, of in edits.items()]
    return (
        told
        + "\nEvery edit on the same clips: AUROC of the origin.\n\n"
        + _table(("edit", *strengths), rows)
    )


def _benchmark(outcome: Outcome) -> str:
    text = f"## {outcome.tables[0].title}\n\n`benchmarks/{outcome.benchmark}`. {outcome.setting}\n"
    for number, table in enumerate(outcome.tables):
        rows = [[_plain(cell) for cell in row] for row in table.rows]
        title = f"\n**{table.title}**\n" if number else ""
        text += f"{title}\n{_table(table.columns, rows)}"
    if outcome.figure:
        text += f"\n![{outcome.tables[0].title}](results/{BENCHMARKS}/{outcome.figure})\n"
    return text


def _section(
    title: str,
    text: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    across: bool = False,
) -> str:
    if across:
        rows = [[cell for row in rows for cell in row]]
    return f"## {title}\n\n{text}\n\n{_table(columns, rows)}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _interval(row: dict[str, Any], prefix: str = "") -> str:
    """The value of a row, under whichever name it has, with its interval where there is one."""
    names = ("auroc", "value", "without_alert")
    value = next(row[prefix + name] for name in names if prefix + name in row)
    low, high = row.get(f"{prefix}low"), row.get(f"{prefix}high")
    if low in (None, "") or high in (None, ""):
        return _number(value)
    return f"{_number(value)} ({_number(low)} to {_number(high)})"


def _range(row: dict[str, Any], name: str, form: str) -> str:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if value in (None, ""):
        return "–"
    found = format(float(value), form)
    if low in (None, "") or high in (None, ""):
        return found
    return f"{found} ({float(low):{form}} to {float(high):{form}})"


def _number(value: str | float | None) -> str:
    return "–" if value in (None, "") else f"{float(value):.3f}"


def _plain(cell: Cell) -> str:
    if cell is None:
        return "–"
    return cell if isinstance(cell, str) else f"{cell:,}"


def _order(names: Sequence[str] | dict[str, str]) -> Any:
    known = list(names)
    return lambda name: (known.index(name) if name in known else len(known), name)


def main() -> None:
    try:
        collect(PROJECT, INPUTS)
    except UserError as error:
        sys.exit(f"results: {error}")
    PAGE.write_text(render(INPUTS))
    print(f"wrote {PAGE.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
