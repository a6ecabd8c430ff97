from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import cache, partial
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdist.scheduler import LoadScopeScheduling

from pipeline import app
from pipeline.config import App
from pipeline.footage.collection import IndexRow, write_index
from pipeline.store import video

_SHARED = {
    "whole_project": (
        "tests/test_evaluate.py",
        "tests/assess/test_page.py",
        "tests/review/test_training.py",
    ),
    "adapted": ("tests/commands/adapt/",),
}
"""Modules that share what is made once a session, by the name of a fixture or of what it is."""
_LONG = (
    *("test_evaluate.py", "test_benchmarks.py", "test_train.py", "test_small_collections.py"),
    *("test_wheel.py", "test_signals.py", "test_extending.py", "test_stopping.py"),
    *("test_loader.py", "test_bags.py", "test_overfit.py", "test_match.py"),
)
"""Modules some of whose tests take tens of seconds, in the order in which to begin them."""
_ALONE = "tests/test_benchmarks.py"
"""Its tests share nothing, and the slow ones take long."""
_OF_WORKERS = ("pipeline.footage.printing", "pipeline.stages.ingest", "pipeline.live.fetcher")
"""What processes of pools import, none of which begins a thread or imports torch."""
FOOTAGE = Path(__file__).resolve().parents[2] / "shared" / "footage"


class ByModule(LoadScopeScheduling):
    """Gives tests that share what a module or a session makes once to one worker.

    Marks that group tests, as `--dist loadgroup` takes them, do nothing with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        if module == _ALONE:
            return nodeid
        return next((name for name, those in _SHARED.items() if module.startswith(those)), module)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    return ByModule(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with modules that take long, so that no worker ends long after the others.

    But for those of `_LONG`, these are the modules of many tests that were asked for.
    """
    sizes = Counter(item.path for item in items)
    places = {name: place for place, name in enumerate(_LONG)}
    items.sort(
        key=lambda item: (places.get(item.path.name, len(_LONG)), -sizes[item.path], item.path)
    )


def pytest_collection_finish() -> None:
    """Search what was imported for cycles no more, here and in every process that is forked."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Keep PyTorch to one thread: workers leave no core idle that a second one could have."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _workers_import_once() -> Iterator[None]:
    """Import what takes each process of a pool over a second once for all pools of a session."""
    preload = ForkServerContext.set_forkserver_preload

    def more(context: ForkServerContext, names: list[str]) -> None:
        preload(context, [*names, *_OF_WORKERS])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ForkServerContext, "set_forkserver_preload", more)
        yield


@pytest.fixture(scope="session")
def footage() -> Path:
    """A collection of foreign files beside the checkout; tests that need it skip without it."""
    if not FOOTAGE.is_dir():
        pytest.skip(f"no footage collection at {FOOTAGE}")
    return FOOTAGE


@pytest.fixture
def compose(tmp_path: Path) -> Callable[..., App]:
    """`compose_below` the test's own folder."""
    return partial(compose_below, tmp_path)


def compose_below(folder: Path, name: str, *overrides: str) -> App:
    """The real config of a stage, with every path below `folder` and a serial executor."""
    run = ["run.executor=serial", "run.num_workers=0", "run.progress=false"]
    sources = ["unseen_sources=[]"] if name == "split" else []
    cfg = deepcopy(_composed(name, *run, *sources, *overrides))
    given = {override.partition("=")[0] for override in overrides}
    for key in _path_keys():
        if f"paths.{key}" not in given:
            setattr(cfg.paths, key, str(folder / key))
    return cfg


@cache
def _composed(name: str, *overrides: str) -> App:
    """What Hydra makes of overrides, which takes it a tenth of a second."""
    return app.compose(name, *overrides)


@cache
def _path_keys() -> list[str]:
    import yaml

    return list(yaml.safe_load((app.CONF / "paths.yaml").read_text()))


def moving_frames(seed: int, num_frames: int = 40, size: int = 64) -> np.ndarray:
    """uint8 (T, size, size, 3): a smooth texture that moves, different for each seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    phase = rng.uniform(0, 6.28, 3)
    waves = rng.uniform(1, 4, (3, 2))
    frames = [
        np.stack(
            [
                np.sin(6.28 * (waves[c, 0] * x + waves[c, 1] * y + 0.03 * t) + phase[c])
                for c in range(3)
            ],
            -1,
        )
        for t in range(num_frames)
    ]
    return (127.5 + 100 * np.stack(frames)).astype(np.uint8)


def write_collection(folder: Path, rows: Sequence[IndexRow], num_frames: int = 40) -> None:
    """A collection whose files hold distinct moving textures at 15 frames a second.

    Every second file has a track of noise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for seed, row in enumerate(rows):
        (folder / row.path).write_bytes(textured(seed, num_frames))
    write_index(folder, rows)


@cache
def textured(seed: int, num_frames: int) -> bytes:
    """A file of `moving_frames` at 15 a second, which many tests write; an odd one has noise."""
    noise = np.random.default_rng(seed).normal(0, 0.1, (1, num_frames * 16_000 // 15))
    track = video.SoundTrack(noise.astype(np.float32), 16_000, "aac", 48) if seed % 2 else None
    return video.encode(moving_frames(seed, num_frames), 15, track=track)


@pytest.fixture
def small_collection(tmp_path: Path) -> Path:
    """`write_small_collection` in the test's own folder."""
    return write_small_collection(tmp_path)


def write_small_collection(below: Path) -> Path:
    """12 files over the four classes, two clips each, every file its own recording."""
    rows = [
        IndexRow(
            path=f"{origin}-{int(discharge)}-{number}.mp4",
            origin=origin,
            source=f"{origin}-source",
            discharge=discharge,
            licence="CC0-1.0",
            discharges_s=(0.2, 1.3) if discharge else (),
        )
        for origin in ("real", "game")
        for discharge in (False, True)
        for number in range(3)
    ]
    folder = below / "footage" / "small"
    write_collection(folder, rows)
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser, which takes a second or two to begin, for all tests of a module."""
    from tests import browser

    with browser.begun() as found:
        yield found


@pytest.fixture(scope="session")
def whole_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose stages have all run and that all suites have examined; leave it as it is."""
    # Torch and the whole pipeline are for those who ask.
    from tests import staged

    folder = tmp_path_factory.mktemp("project")
    staged.write_project(folder)
    staged.evaluate_project(folder)
    return folder
