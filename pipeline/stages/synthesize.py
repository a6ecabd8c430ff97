"""Make footage collections whose labels are known, one folder an engine."""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline import engines
from pipeline.config import SynthesizeApp
from pipeline.engines.take import Original, Recorded, Take, UnusableDraw
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, write_index
from pipeline.store import executor, manifest, video, workdir

log = logging.getLogger(__name__)

ENGINES = (
    "bodycam",
    "film",
    "twins",
    "location",
    "photographs",
    "packages",
    "vizdoom",
    "openarena",
)
"""Modules of `pipeline.engines` with a `record(seed, index, settings)` that gives `Recorded` files.

One that needs more than Discern's own packages has a `missing() -> str | None` too: a line that
says what is absent, or None.
"""
_RESULT = "result.json"


@dataclass(frozen=True)
class Draw:
    """One recording to render: what to draw, and the work folder that keeps it."""

    engine: str
    seed: int
    index: int
    settings: Any
    folder: Path


def render(draw: Draw) -> None:
    """Render one draw into its folder: its files and, last, the result that says it is whole."""
    record: Callable[[int, int, Any], Sequence[Recorded]]
    record = import_module(f"pipeline.engines.{draw.engine}").record
    shutil.rmtree(draw.folder, ignore_errors=True)
    draw.folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    dropped = ""
    try:
        for recorded in record(draw.seed, draw.index, draw.settings):
            suffix, content = _encoded(recorded)
            row = _index_row(recorded, suffix)
            (draw.folder / row.path).write_bytes(content)
            rows.append(asdict(row))
    except UnusableDraw as reason:
        dropped, rows = str(reason), []
    partial = draw.folder / f"{_RESULT}.partial"
    partial.write_text(json.dumps({"dropped": dropped, "rows": rows}))
    partial.rename(draw.folder / _RESULT)


def _encoded(recorded: Recorded) -> tuple[str, bytes]:
    """The suffix and the bytes of a file."""
    if isinstance(recorded, Original):
        return recorded.suffix, recorded.content
    assert isinstance(recorded, Take)
    form = recorded.format
    mp4 = video.encode(recorded.frames, form.fps, kbit_s=form.kbit_s, keyint=form.keyint)
    return ".mp4", mp4


def _index_row(recorded: Recorded, suffix: str) -> IndexRow:
    return IndexRow(
        path=f"{recorded.name}{suffix}",
        origin=recorded.origin,
        source=recorded.source,
        discharge=bool(recorded.discharges_s),
        licence=recorded.licence,
        recording=recorded.recording,
        discharges_s=recorded.discharges_s,
        authority=recorded.authority,
        viewpoint=recorded.viewpoint,
        notes=recorded.notes,
    )


def run(cfg: SynthesizeApp) -> None:
    """Write a collection an engine, and `stats.json`, to `paths.synthetic`.

    Finished recordings stay in the work folder until the stage ends, so a killed run goes on.

    Raises:
        UserError: an engine dropped more than `max_drop_rate` of its draws.
    """
    stats: dict[str, Any] = {}
    work = Path(cfg.paths.work, "synthesize")
    with (
        workdir.claimed(work, Path(cfg.paths.work)),
        workdir.replacing(
            Path(cfg.paths.synthetic), Path(cfg.paths.work), workdir.OUTPUTS["synthesize"]
        ) as fresh,
    ):
        for engine in ENGINES:
            settings = getattr(cfg, engine)
            if settings.num_recordings == 0:
                continue
            if (absent := _missing(engine)) is not None:
                log.warning(
                    "synthesize: skips %s: %s; then dvc repro -f synthesize", engine, absent
                )
                stats[engine] = {"skipped": True}
                continue
            code = workdir.code_sha256(*_code(engine), "store/video.py")
            looks = asdict(settings) | {"num_recordings": None}
            finished = work / engine / workdir.key(cfg.seed, looks, code)
            draws = [
                Draw(engine, cfg.seed, index, settings, finished / f"{index:06d}")
                for index in range(settings.num_recordings)
            ]
            todo = [draw for draw in draws if not (draw.folder / _RESULT).is_file()]
            for (lost,) in executor.map_blocks(
                render,
                executor.in_blocks(todo, 1),
                cfg.run,
                title=f"synthesize {engine}",
                num_items=len(todo),
            ):
                if isinstance(lost, executor.Lost):
                    raise UserError(f"{engine}: a worker was lost ({lost.detail}); run it again")
            stats[engine] = _collect(draws, fresh / engine)
            drop_rate = 1 - stats[engine]["recordings"] / len(draws)
            if drop_rate > cfg.max_drop_rate:
                raise UserError(
                    f"{engine}: {drop_rate:.0%} of the draws dropped "
                    f"({stats[engine]['dropped']}), more than max_drop_rate={cfg.max_drop_rate}; "
                    "raise it in conf/synthesize.yaml or mend the engine"
                )
        manifest.write_stats(fresh, stats)
    shutil.rmtree(work, ignore_errors=True)


def _code(engine: str) -> list[str]:
    """What an engine may be made of: all but the other engines."""
    folder = Path(engines.__file__).parent
    modules = sorted(path.name for path in folder.iterdir() if path.stem[0] != "_")
    others = {name for name in ENGINES if name != engine}
    return [f"engines/{name}" for name in modules if Path(name).stem not in others]


def _missing(engine: str) -> str | None:
    missing: Callable[[], str | None] | None
    missing = getattr(import_module(f"pipeline.engines.{engine}"), "missing", None)
    return None if missing is None else missing()


def _collect(draws: Sequence[Draw], folder: Path) -> dict[str, Any]:
    folder.mkdir()
    rows: list[IndexRow] = []
    dropped: Counter[str] = Counter()
    for draw in draws:
        result = json.loads((draw.folder / _RESULT).read_text())
        if result["dropped"]:
            dropped[result["dropped"]] += 1
        for row in result["rows"]:
            shutil.copyfile(draw.folder / row["path"], folder / row["path"])
            rows.append(IndexRow(**{**row, "discharges_s": tuple(row["discharges_s"])}))
    write_index(folder, rows)
    files = Counter(f"{row.origin} {'discharge' if row.discharge else 'none'}" for row in rows)
    return {
        "recordings": len(draws) - dropped.total(),
        "files": dict(files),
        "dropped": dict(dropped),
    }
