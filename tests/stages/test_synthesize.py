from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from pipeline.config import App, RenderSettings
from pipeline.engines.take import Take, UnusableDraw, VideoFormat
from pipeline.engines.tracks import TrackFormat
from pipeline.errors import UserError
from pipeline.footage.collection import read_index
from pipeline.stages import synthesize
from tests.conftest import moving_frames


def take(seed: int, index: int) -> Take:
    return Take(
        name=f"take-{index}",
        frames=moving_frames(seed * 100 + index, 8),
        format=VideoFormat(64, 64, 15.0, 200, 30),
        origin="game",
        source="fake",
        recording=f"take-{index}",
        discharges_s=(0.25,) if index % 2 else (),
        viewpoint="first-person",
        licence="CC0-1.0",
        authority="rendered by a test",
        notes="",
    )


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replaces the engines by one that renders in no time; lists the indices it rendered."""
    calls: list[int] = []

    def record(seed: int, index: int, settings: object) -> list[Take]:
        calls.append(index)
        if index == 3:
            raise UnusableDraw("nearly_blank")
        return [take(seed, index)]

    module = ModuleType("pipeline.engines.fake")
    module.record = record  # type: ignore[attr-defined]
    for engine in synthesize.ENGINES:
        monkeypatch.setitem(sys.modules, f"pipeline.engines.{engine}", module)
    return calls


def files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def only(**counts: int) -> list[str]:
    """Overrides that give some engines their recordings and the others none, and no long ones."""
    short = [f"{name}.num_recordings={counts.get(name, 0)}" for name in synthesize.ENGINES]
    able = ("bodycam", "film", "location", "photographs", "vizdoom", "openarena")
    return [*short, *(f"{name}.long.num_recordings=0" for name in able)]


FOUR = (*only(bodycam=4, vizdoom=2), "max_drop_rate=0.5")


def test_each_engine_writes_an_ordinary_collection(
    compose: Callable[..., App], rendered: list[int], tmp_path: Path
) -> None:
    synthesize.run(compose("synthesize", *FOUR))
    rows = read_index(tmp_path / "synthetic" / "bodycam")
    assert [(row.path, row.discharges_s) for row in rows] == [
        ("take-0.mp4", ()),
        ("take-1.mp4", (0.25,)),
        ("take-2.mp4", ()),
    ]
    assert all((tmp_path / "synthetic" / "bodycam" / row.path).stat().st_size for row in rows)
    stats = json.loads((tmp_path / "synthetic" / "stats.json").read_text())
    assert stats["bodycam"]["dropped"] == {"nearly_blank": 1}
    assert stats["bodycam"]["recordings"] == 3


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    compose: Callable[..., App],
    rendered: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cfg = compose("synthesize", *FOUR)
    synthesize.run(cfg)
    undisturbed = files(tmp_path / "synthetic")
    shutil.rmtree(tmp_path / "work")
    rendered.clear()

    with monkeypatch.context() as patch:
        patch.setattr(synthesize, "_collect", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            synthesize.run(cfg)
    assert rendered == [0, 1, 2, 3]
    assert files(tmp_path / "synthetic") == undisturbed, "an interrupted run changes nothing"
    synthesize.run(cfg)
    assert rendered == [0, 1, 2, 3, 0, 1], "only the second engine is left to render"
    assert files(tmp_path / "synthetic") == undisturbed


def test_only_what_is_new_is_rendered_and_all_comes_out_as_from_nothing(
    compose: Callable[..., App],
    rendered: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def renders_as_from_nothing(*overrides: str) -> list[int]:
        rendered.clear()
        synthesize.run(compose("synthesize", *overrides, "max_drop_rate=0.5"))
        new, found = [*rendered], files(tmp_path / "synthetic")
        fresh = f"paths.work={tmp_path / 'fresh'}"
        synthesize.run(compose("synthesize", *overrides, "max_drop_rate=0.5", fresh))
        shutil.rmtree(tmp_path / "fresh")
        assert files(tmp_path / "synthetic") == found
        return new

    assert renders_as_from_nothing(*only(bodycam=2)) == [0, 1]
    assert renders_as_from_nothing(*only(bodycam=3, vizdoom=1)) == [2, 0]
    assert renders_as_from_nothing(*only(bodycam=4, vizdoom=1), "vizdoom.duration_s=3") == [3, 0]
    assert renders_as_from_nothing(*only(bodycam=2)) == []
    code = synthesize.workdir.code_sha256
    monkeypatch.setattr(
        synthesize.workdir,
        "code_sha256",
        lambda *places: code(*places) + "changed" * ("engines/vizdoom" in places),
    )
    assert renders_as_from_nothing(*only(bodycam=2, vizdoom=1)) == [0]
    for piece in (tmp_path / "work" / "kept" / "synthesize").glob("*/*"):
        piece.write_bytes(piece.read_bytes()[:-1])
    assert renders_as_from_nothing(*only(bodycam=2)) == [0, 1], "damaged ones are made anew"


def test_long_recordings_stand_beside_short_ones_and_neither_changes_the_other(
    compose: Callable[..., App],
    rendered: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, float, list[float]]] = []

    def record_long(seed: int, index: int, settings: RenderSettings) -> list[Take]:
        asked.append((index, settings.duration_s, settings.rates_fps))
        if index == 2:
            raise UnusableDraw("stands_still")
        name = f"vizdoom-long-{index:05d}"
        return [replace(take(seed, index), name=name, recording=name)]

    fake = sys.modules["pipeline.engines.vizdoom"]
    monkeypatch.setattr(fake, "record_long", record_long, raising=False)
    base = (*only(vizdoom=2), "max_drop_rate=0.4")
    two = (*base, "vizdoom.long.num_recordings=3", "vizdoom.long.rates_fps=[30.0]")
    folder = tmp_path / "synthetic"

    synthesize.run(compose("synthesize", *two, "vizdoom.long.duration_s=90"))
    assert rendered == [0, 1]
    assert asked == [(0, 90.0, [30.0]), (1, 90.0, [30.0]), (2, 90.0, [30.0])]
    assert [(row.recording, row.discharge) for row in read_index(folder / "vizdoom")] == [
        ("take-0", False),
        ("take-1", True),
        ("vizdoom-long-00000", False),
        ("vizdoom-long-00001", True),
    ]
    stats = json.loads((folder / "stats.json").read_text())["vizdoom"]
    assert (stats["recordings"], stats["dropped"]) == (2, {})
    assert stats["long"] == {
        "recordings": 2,
        "files": {"game discharge": 1, "game none": 1},
        "dropped": {"stands_still": 1},
    }

    asked.clear()
    synthesize.run(compose("synthesize", *two, "vizdoom.long.duration_s=80"))
    assert (rendered, [one[0] for one in asked]) == ([0, 1], [0, 1, 2])
    synthesize.run(
        compose("synthesize", *two, "vizdoom.long.duration_s=80", "vizdoom.duration_s=3")
    )
    assert (rendered, len(asked)) == ([0, 1, 0, 1], 3)
    with pytest.raises(UserError, match=r"vizdoom: 33% of the long draws dropped"):
        synthesize.run(compose("synthesize", *two, "max_drop_rate=0.3"))


def test_engines_have_settings_of_long_recordings_where_they_make_them(
    compose: Callable[..., App],
) -> None:
    cfg = compose("synthesize")
    for engine in synthesize.ENGINES:
        makes_long = hasattr(import_module(f"pipeline.engines.{engine}"), "record_long")
        assert hasattr(getattr(cfg, engine), "long") is makes_long, engine
    with pytest.raises(UserError, match=r"twins\.long\.num_recordings': there is no such key"):
        compose("synthesize", "twins.long.num_recordings=4")


def test_another_program_draws_anew(
    compose: Callable[..., App], rendered: list[int], tmp_path: Path
) -> None:
    program = tmp_path / "game"
    program.write_bytes(b"one")
    fake = sys.modules["pipeline.engines.vizdoom"]
    fake.programs = lambda: [program]  # type: ignore[attr-defined]
    cfg = compose("synthesize", *only(vizdoom=2))
    synthesize.run(cfg)
    synthesize.run(cfg)
    assert rendered == [0, 1]
    program.write_bytes(b"two")
    synthesize.run(cfg)
    assert rendered == [0, 1, 0, 1]


@pytest.mark.slow
def test_real_engines_write_the_same_bytes_alone_and_with_two_workers(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    names = ("bodycam", "film", "twins", "vizdoom")
    settings = [f"{name}.{one}" for name in names for one in ("duration_s=1.2", "heights=[96]")]
    settings += ["vizdoom.long.num_recordings=2", "vizdoom.long.duration_s=6"]
    for name in ("bodycam", "film"):
        settings += [f"{name}.long.num_recordings=1", f"{name}.long.duration_s=20"]
    overrides = [*only(**dict.fromkeys(names, 2)), *settings, "max_drop_rate=1"]
    found = []
    for how in (
        ["run.executor=serial"],
        ["run.executor=processes", "run.num_workers=2"],
    ):
        folder = tmp_path / str(len(found))
        paths = [f"paths.synthetic={folder / 'synthetic'}", f"paths.work={folder / 'work'}"]
        synthesize.run(compose("synthesize", *overrides, *paths, *how))
        found.append(files(folder / "synthetic"))
    assert {Path(name).parts[0] for name in found[0] if name.endswith(".mp4")} == set(names)
    for name in ("bodycam", "film", "vizdoom"):
        assert any(f"{name}-long-" in file for file in found[0])
    assert found[1].keys() == found[0].keys()
    assert [name for name in found[0] if found[1][name] != found[0][name]] == []


def test_too_many_dropped_draws_fail_the_stage(
    compose: Callable[..., App], rendered: list[int], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"bodycam: 25% of the draws dropped.*nearly_blank"):
        synthesize.run(compose("synthesize", *FOUR[:-1], "max_drop_rate=0.1"))
    assert not (tmp_path / "synthetic").exists()


def test_an_engine_without_recordings_writes_no_collection(
    compose: Callable[..., App], rendered: list[int], tmp_path: Path
) -> None:
    synthesize.run(compose("synthesize", *only(vizdoom=1)))
    assert [f.name for f in sorted((tmp_path / "synthetic").iterdir())] == ["stats.json", "vizdoom"]


def test_an_engine_that_lacks_something_is_skipped_with_one_line(
    compose: Callable[..., App],
    rendered: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fake = sys.modules["pipeline.engines.vizdoom"]
    lacking = ModuleType("pipeline.engines.twins")
    lacking.record = fake.record  # type: ignore[attr-defined]
    lacking.missing = lambda: "no such game; run make games"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pipeline.engines.twins", lacking)
    synthesize.run(compose("synthesize", *only(twins=2, vizdoom=1)))
    assert (
        "synthesize: skips twins: no such game; run make games; then dvc repro -f synthesize"
        in (caplog.messages)
    )
    assert not (tmp_path / "synthetic" / "twins").exists()
    stats = json.loads((tmp_path / "synthetic" / "stats.json").read_text())
    assert stats["twins"] == {"skipped": True}
    assert stats["vizdoom"]["recordings"] == 1


def test_every_engine_has_a_module_and_settings(compose: Callable[..., App]) -> None:
    cfg = compose("synthesize")
    for engine in synthesize.ENGINES:
        assert hasattr(cfg, engine)
        assert callable(import_module(f"pipeline.engines.{engine}").record)


def test_the_sound_of_a_take_is_written_where_its_format_has_a_track() -> None:
    track = TrackFormat("aac", 16_000, 1, 24, -30.0, None, is_muted=False, music=None)
    plain = take(1, 1)
    heard = replace(plain, sound=np.full(25_600, 9000, np.int16))
    with_track = {"format": replace(plain.format, track=track)}
    num_streams = []
    for one in (plain, heard, replace(plain, **with_track), replace(heard, **with_track)):
        suffix, content = synthesize._encoded(one)
        with av.open(io.BytesIO(content)) as file:
            num_streams.append(len(file.streams))
        assert suffix == ".mp4"
    assert num_streams == [1, 1, 1, 2]


def test_frames_are_written_as_the_take_says(
    compose: Callable[..., App], rendered: list[int], tmp_path: Path
) -> None:
    from pipeline.store import video

    synthesize.run(compose("synthesize", *FOUR))
    decoded = video.decode((tmp_path / "synthetic" / "vizdoom" / "take-1.mp4").read_bytes())
    expected = take(compose("synthesize").seed, 1).frames  # type: ignore[attr-defined]
    other = take(compose("synthesize").seed, 2).frames  # type: ignore[attr-defined]
    assert np.abs(decoded.astype(int) - expected).mean() < 10
    assert np.abs(decoded.astype(int) - other).mean() > 30
