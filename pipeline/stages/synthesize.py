"""Make footage collections whose labels are known, one folder an engine."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline import engines
from pipeline.config import EngineSettings, LongGameSettings, LongRenderSettings, SynthesizeApp
from pipeline.engines import tracks
from pipeline.engines.take import Original, Recorded, Take, UnusableDraw
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, write_index
from pipeline.store import manifest, video, workdir
from pipeline.store.contents import Contents
from pipeline.store.finished_work import FinishedWork, Piece, made_by
from pipeline.store.reuse import Pieces

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
says what is absent, or None. One that makes long recordings has a `record_long` too, with the
arguments and the results of `record`: `long` among its settings holds their number, length and
rates, and their files and recordings are named `<engine>-long-00007`.
"""
_LIBRARIES = (
    "albumentations",
    "av",
    "cyal",
    "embreex",
    "numba",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "scikit-image",
    "scipy",
    "vizdoom",
)


@dataclass(frozen=True)
class Draw:
    """One recording to render."""

    engine: str
    seed: int
    index: int
    settings: EngineSettings
    is_long: bool


def render(draw: Draw) -> Piece:
    """Render one draw into a piece to keep: the bytes of its files, and their rows of the index."""
    record: Callable[[int, int, Any], Sequence[Recorded]]
    engine = import_module(f"pipeline.engines.{draw.engine}")
    record = engine.record_long if draw.is_long else engine.record
    rows: list[dict[str, Any]] = []
    contents: list[bytes] = []
    dropped = ""
    try:
        for recorded in record(draw.seed, draw.index, draw.settings):
            suffix, content = _encoded(recorded)
            row = _index_row(recorded, suffix)
            contents.append(content)
            rows.append(asdict(row))
    except UnusableDraw as reason:
        dropped, rows, contents = str(reason), [], []
    return Piece({"dropped": dropped, "rows": rows}, contents)


def _encoded(recorded: Recorded) -> tuple[str, bytes]:
    """The suffix and the bytes of a file."""
    if isinstance(recorded, Original):
        return recorded.suffix, recorded.content
    assert isinstance(recorded, Take)
    form = recorded.format
    track = None
    if recorded.sound is not None and form.track is not None:
        track = tracks.processed(recorded.sound, form.track)
    mp4 = video.encode(
        recorded.frames, form.fps, kbit_s=form.kbit_s, keyint=form.keyint, track=track
    )
    return ".mp4", mp4


def _index_row(recorded: Recorded, suffix: str) -> IndexRow:
    return IndexRow(
        path=f"{recorded.name}{suffix}",
        origin=recorded.origin,
        source=recorded.source,
        discharge=bool(recorded.discharges_s or recorded.heard_s),
        licence=recorded.licence,
        recording=recorded.recording,
        discharges_s=recorded.discharges_s,
        heard_s=recorded.heard_s,
        authority=recorded.authority,
        rendered=recorded.rendered,
        dubbed=_is_dubbed(recorded),
        viewpoint=recorded.viewpoint,
        notes=recorded.notes,
    )


def _is_dubbed(recorded: Recorded) -> bool:
    if not isinstance(recorded, Take) or recorded.sound is None:
        return False
    return recorded.format.track is not None and recorded.format.track.is_dubbed


def run(cfg: SynthesizeApp) -> None:
    """Write a collection an engine, and `stats.json`, to `paths.synthetic`.

    Recordings are kept, so that a later run, or one that goes on after a kill, renders what is new
    alone: more recordings, and those of an engine whose settings or code changed. Settings of long
    recordings change no short ones, nor the other way round.

    Raises:
        UserError: an engine dropped more than `max_drop_rate` of its draws, long or short.
    """
    stats: dict[str, Any] = {}
    asked = {engine: _asked(engine, cfg) for engine in ENGINES}
    work = Path(cfg.paths.work)
    with FinishedWork(work, "synthesize") as kept:
        with workdir.replacing(
            Path(cfg.paths.synthetic), work, workdir.OUTPUTS["synthesize"]
        ) as fresh:
            for engine, draws in asked.items():
                if not draws:
                    continue
                if (absent := _missing(engine)) is not None:
                    log.warning(
                        "synthesize: skips %s: %s; then dvc repro -f synthesize", engine, absent
                    )
                    stats[engine] = {"skipped": True}
                    continue
                stats[engine] = _synthesize(draws, cfg, kept, fresh / engine)
            manifest.write_stats(fresh, stats)
        kept.trim(cfg.run.keep_gb)


def _asked(engine: str, cfg: SynthesizeApp) -> list[list[Draw]]:
    """The draws of an engine: of its short recordings, and of its long ones if it makes any."""
    settings: EngineSettings = getattr(cfg, engine)
    kinds = [(settings, False)]
    if isinstance(settings, LongRenderSettings | LongGameSettings):
        long = settings.long
        of_long = replace(
            settings,
            num_recordings=long.num_recordings,
            duration_s=long.duration_s,
            rates_fps=long.rates_fps,
        )
        kinds.append((of_long, True))
    return [
        [Draw(engine, cfg.seed, index, own, is_long) for index in range(own.num_recordings)]
        for own, is_long in kinds
        if own.num_recordings
    ]


def _synthesize(
    asked: Sequence[Sequence[Draw]], cfg: SynthesizeApp, kept: FinishedWork, folder: Path
) -> dict[str, Any]:
    """Write the collection of an engine, and return its statistics."""
    contents = Contents(Path(cfg.paths.work))
    folder.mkdir()
    rows: list[IndexRow] = []
    stats: dict[str, Any] = {}
    engine = asked[0][0].engine
    # Long ones first: one that is begun last leaves the other workers with nothing to do.
    first = asked[::-1]
    names = [name for draws in first for name in _names(draws, contents)]
    every = [draw for draws in first for draw in draws]
    pieces = Pieces(kept, names, every.__iter__, render, cfg.run, f"synthesize {engine}")
    pieces.make(1)
    read = (piece for _, piece in pieces.read())
    for draws in first:
        is_long = draws[0].is_long
        found, own_rows = _collect(islice(read, len(draws)), folder)
        drop_rate = 1 - found["recordings"] / len(draws)
        if drop_rate > cfg.max_drop_rate:
            raise UserError(
                f"{engine}: {drop_rate:.0%} of the {'long ' if is_long else ''}draws dropped "
                f"({found['dropped']}), more than max_drop_rate={cfg.max_drop_rate}; raise it in "
                "conf/synthesize.yaml or mend the engine"
            )
        stats = ({"long": found} if is_long else found) | stats
        rows = own_rows + rows
    write_index(folder, rows)
    return stats


def _names(draws: Sequence[Draw], contents: Contents) -> list[str]:
    """The names under which draws of one kind are kept: of all that they are made from."""
    engine, settings, is_long = draws[0].engine, draws[0].settings, draws[0].is_long
    made_of = [
        made_by([*_code(engine), "store/pcm.py", "store/video.py"], _LIBRARIES),
        [[path.name, contents.of_file(path)] for path in _programs(engine)],
        asdict(settings) | {"num_recordings": None, "long": is_long},
    ]
    return [workdir.key(engine, draw.seed, draw.index, made_of) for draw in draws]


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


def _programs(engine: str) -> Sequence[Path]:
    programs: Callable[[], Sequence[Path]] | None
    programs = getattr(import_module(f"pipeline.engines.{engine}"), "programs", None)
    return [] if programs is None else programs()


def _frozen(value: Any) -> Any:
    """JSON has lists where a row has tuples."""
    return tuple(value) if isinstance(value, list) else value


def _collect(pieces: Iterable[Piece], folder: Path) -> tuple[dict[str, Any], list[IndexRow]]:
    """Write files, and return statistics and the rows of the index."""
    rows: list[IndexRow] = []
    files: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    num_recordings = 0
    for piece in pieces:
        if piece.header["dropped"]:
            dropped[piece.header["dropped"]] += 1
        else:
            num_recordings += 1
        for row, content in zip(piece.header["rows"], piece.blobs, strict=True):
            (folder / row["path"]).write_bytes(content)
            rows.append(IndexRow(**{name: _frozen(value) for name, value in row.items()}))
            files[f"{row['origin']} {'discharge' if row['discharge'] else 'none'}"] += 1
    found = {
        "recordings": num_recordings,
        "files": dict(files),
        "dropped": dict(dropped),
    }
    return found, rows
