from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from vizdoom import ScreenResolution

from pipeline.config import GameSettings
from pipeline.engines.take import Take, UnusableDraw, VideoFormat, draw_format
from pipeline.engines.vizdoom import engine, openal, record
from pipeline.engines.vizdoom.scene import (
    PISTOL,
    SHOTGUN,
    SOUND_HZ,
    TIC_HZ,
    GameScene,
    draw_scene,
)
from pipeline.engines.vizdoom.telemetry import Telemetry, discharge_tics, problem
from pipeline.errors import UserError

SETTINGS = GameSettings(
    num_recordings=4,
    duration_s=3.0,
    heights=[144],
    rates_fps=[15.0, 24.0],
    timeout_s=60.0,
    max_attempts=4,
)
FORMAT = VideoFormat(width=192, height=144, fps=15.0, kbit_s=100, keyint=30)
NUM_TICS = 50
PLASMA = 6
HUSH = np.zeros((NUM_TICS * SOUND_HZ // TIC_HZ, 2), np.int16)


@pytest.fixture(scope="module")
def scene() -> GameScene:
    """A gunman with a pistol in the first map, who does not wait for a target."""
    drawn = draw_scene(np.random.default_rng(3), FORMAT, SETTINGS.duration_s, shoots=True)
    return replace(
        drawn,
        iwad="freedoom2.wad",
        scenario=None,
        game_map="MAP01",
        fires_blindly=True,
        slots=(PISTOL,),
        width=320,
        height=240,
        shown_size=(320, 240),
    )


@pytest.fixture(scope="module")
def shooting_take() -> Take:
    return record(1, 2, SETTINGS)[0]


@pytest.fixture(scope="module")
def quiet_take() -> Take:
    return record(1, 1, SETTINGS)[0]


def telemetry(**changes: np.ndarray) -> Telemetry:
    """A walk with a pistol in hand during which nothing happens, but for `changes`."""
    calm = Telemetry(
        ammo=np.full(NUM_TICS, 100.0),
        slot=np.full(NUM_TICS, float(PISTOL)),
        trigger=np.zeros(NUM_TICS),
        damage_taken=np.zeros(NUM_TICS),
        num_projectiles=np.zeros(NUM_TICS),
        num_puffs=np.zeros(NUM_TICS),
        reach=np.full(NUM_TICS, 60.0),
        brightness=np.full(NUM_TICS, 60.0),
        x=np.arange(NUM_TICS) * 5.0,
        y=np.zeros(NUM_TICS),
    )
    return replace(calm, **changes)


def steps(**jumps: float) -> np.ndarray:
    """Running total that jumps by the given amounts at tics named `t<number>`."""
    rate = np.zeros(NUM_TICS)
    for tic, amount in jumps.items():
        rate[int(tic[1:])] = amount
    return np.cumsum(rate)


def held(start: int, stop: int) -> np.ndarray:
    tics = np.arange(NUM_TICS)
    return ((tics >= start) & (tics < stop)).astype(float)


def test_a_discharge_is_the_tic_at_which_ammo_falls_whatever_it_costs() -> None:
    fired = telemetry(ammo=100 + steps(t14=-1, t28=-2), trigger=held(10, 30))
    assert discharge_tics(fired).tolist() == [14, 28]
    assert problem(fired, NUM_TICS) is None


@pytest.mark.parametrize(
    ("slot", "pickup", "spent"), [(PISTOL, 10, 1), (SHOTGUN, 8, 1), (SHOTGUN, 20, 2)]
)
def test_a_pickup_while_firing_hides_a_discharge_only_in_its_own_tic(
    slot: int, pickup: int, spent: int
) -> None:
    held_slot = np.full(NUM_TICS, float(slot))

    def found(**jumps: float) -> str | None:
        ammo = 20 + steps(**jumps)
        return problem(telemetry(slot=held_slot, ammo=ammo, trigger=held(5, 20)), NUM_TICS)

    assert found(t9=pickup, t14=-spent) is None
    assert found(t9=-spent, t14=pickup - spent) == "ammo_picked_up_while_firing"


def test_ammo_that_falls_without_the_trigger_is_no_discharge() -> None:
    assert len(discharge_tics(telemetry(ammo=100 + steps(t14=-1)))) == 0


def test_a_weapon_switch_is_no_discharge() -> None:
    slot = PISTOL + steps(t20=SHOTGUN - PISTOL)
    switched = telemetry(ammo=100 + steps(t20=-50), slot=slot, trigger=held(10, 25))
    assert len(discharge_tics(switched)) == 0


def test_plasma_is_no_firearm() -> None:
    slot = np.full(NUM_TICS, float(PLASMA))
    fired = telemetry(ammo=100 + steps(t14=-1), slot=slot, trigger=held(10, 15))
    assert len(discharge_tics(fired)) == 0


def test_a_calm_walk_is_a_negative() -> None:
    assert problem(telemetry(), NUM_TICS) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trigger": held(3, 4)}, "neither_positive_nor_negative"),
        ({"num_projectiles": held(30, 31)}, "neither_positive_nor_negative"),
        ({"num_puffs": held(30, 31)}, "neither_positive_nor_negative"),
        ({"damage_taken": steps(t9=4)}, "neither_positive_nor_negative"),
        ({"ammo": 100 + steps(t9=9), "trigger": held(5, 12)}, "ammo_picked_up_while_firing"),
        ({"ammo": 195 + steps(t9=5), "trigger": held(5, 12)}, "ammo_picked_up_while_firing"),
        ({"reach": np.full(NUM_TICS, 2.0)}, "faces_a_wall"),
        ({"brightness": np.full(NUM_TICS, 3.0)}, "too_dark"),
        ({"x": np.zeros(NUM_TICS)}, "stands_still"),
    ],
)
def test_what_is_unclear_or_not_worth_watching_has_a_reason(
    changes: dict[str, np.ndarray], reason: str
) -> None:
    assert problem(telemetry(**changes), NUM_TICS) == reason


def test_a_short_episode_has_a_reason() -> None:
    assert problem(telemetry(), NUM_TICS + 1) == "ended_early"


def test_frames_show_the_nearest_tic(scene: GameScene) -> None:
    tics = replace(scene, fps=30.0, num_frames=60).frame_tics
    assert len(tics) == 60
    assert np.abs(tics / TIC_HZ - np.arange(60) / 30.0).max() <= 0.5 / TIC_HZ + 1e-9


@pytest.mark.parametrize("fps", [15.0, 20.0, 24.0, 25.0, 30.0])
def test_a_scene_is_as_long_as_every_file_of_its_format(fps: float) -> None:
    form = replace(FORMAT, fps=fps)
    drawn = draw_scene(np.random.default_rng(3), form, 4.4, shoots=True)
    assert len(drawn.frame_tics) == form.num_frames(4.4)


def test_scenes_differ_by_draw_and_never_fire_what_is_no_firearm() -> None:
    scenes = [
        draw_scene(
            np.random.default_rng([9, index]),
            draw_format(9, index, "vizdoom", [144], SETTINGS.rates_fps),
            5.0,
            shoots=True,
        )
        for index in range(150)
    ]
    sizes = {(s.width, s.height) for s in scenes}
    assert len(sizes) > 6
    assert {f"RES_{width}X{height}" for width, height in sizes} <= set(dir(ScreenResolution))
    assert all(s.height >= 144 for s in scenes)
    assert {s.fps for s in scenes} == set(SETTINGS.rates_fps)
    assert {s.hud for s in scenes} == {"full", "minimal", "none"}
    assert {slot for s in scenes for slot in s.slots} == {2, 3, 4}


def draw(number: int, *, shoots: bool) -> GameScene:
    return draw_scene(np.random.default_rng([9, number]), FORMAT, 5.0, shoots=shoots)


def test_who_fires_opens_no_menu_looks_at_no_map_and_picks_up_no_ammunition() -> None:
    for scene in (draw(number, shoots=True) for number in range(60)):
        assert scene.map_tics == ()
        for _, command in scene.commands:
            assert command.startswith("summon ")
            assert not re.search("Shotgun|Chaingun|Launcher|Rifle|saw|Clip|Shell", command)


def test_quiet_walks_are_interrupted_in_several_ways_within_the_recording() -> None:
    scenes = [draw(number, shoots=False) for number in range(60)]
    commands = {command.split("_")[0].split()[0] for s in scenes for _, command in s.commands}
    assert commands == {"summon", "take", "menu", "closemenu"}
    assert all(first <= last for scene in scenes for first, last in scene.map_tics)
    assert any(scene.map_tics for scene in scenes)
    assert any(scene.commands == () and scene.map_tics == () for scene in scenes)
    assert all(0 <= tic < 5 * TIC_HZ for s in scenes for tic, _ in s.commands)


def test_a_menu_stops_the_game_while_it_is_open(scene: GameScene) -> None:
    menu = ((20, "menu_main"), (60, "closemenu"))
    walker = replace(scene, seed=1, engagements=(), monsters=False)
    calm = replace(walker, fps=35.0, num_frames=105, map_tics=())
    _, _, told = engine.play_apart(replace(calm, commands=menu), SETTINGS.timeout_s)
    moved = np.hypot(np.diff(told.x), np.diff(told.y)) > 0
    assert not moved[24:56].any()
    assert moved[:20].any()
    assert moved[62:].any()


def test_the_map_is_shown_for_its_tics_alone(scene: GameScene) -> None:
    calm = replace(scene, engagements=(), monsters=False, fps=35.0, num_frames=105, commands=())
    plain, *_ = engine.play_apart(replace(calm, map_tics=()), SETTINGS.timeout_s)
    with_map, *_ = engine.play_apart(replace(calm, map_tics=((30, 50),)), SETTINGS.timeout_s)
    differs = (plain != with_map).reshape(len(plain), -1).mean(axis=1) > 0.2
    assert np.flatnonzero(differs).tolist() == list(range(30, 50))


def test_frames_sound_and_labels_are_the_same_in_two_processes(shooting_take: Take) -> None:
    again = record(1, 2, SETTINGS)[0]
    assert again.sound is not None
    assert shooting_take.sound is not None
    np.testing.assert_array_equal(again.frames, shooting_take.frames)
    np.testing.assert_array_equal(again.sound, shooting_take.sound)
    same = {"frames": shooting_take.frames, "sound": shooting_take.sound}
    assert vars(again) | same == vars(shooting_take)


def test_discharges_lie_within_the_take(shooting_take: Take) -> None:
    duration_s = len(shooting_take.frames) / shooting_take.format.fps
    assert len(shooting_take.discharges_s) > 0
    assert all(0 <= second < duration_s for second in shooting_take.discharges_s)
    assert list(shooting_take.discharges_s) == sorted(set(shooting_take.discharges_s))


def test_a_quiet_recording_has_no_discharge(quiet_take: Take) -> None:
    assert quiet_take.discharges_s == ()
    assert quiet_take.frames.dtype == np.uint8
    assert quiet_take.frames.std() > 5


@pytest.mark.parametrize("index", [1, 2])
def test_a_take_can_be_encoded_and_says_where_it_is_from(
    index: int, request: pytest.FixtureRequest
) -> None:
    take = request.getfixturevalue({1: "quiet_take", 2: "shooting_take"}[index])
    form = take.format
    num_frames = form.num_frames(SETTINGS.duration_s)
    assert take.frames.shape == (num_frames, form.height, form.width, 3)
    assert form.height == 144
    assert take.name == take.recording == f"vizdoom-{index:05d}"
    assert (take.origin, take.viewpoint) == ("game", "first-person")


def test_frames_come_at_the_size_of_the_file_whatever_the_engine_draws(scene: GameScene) -> None:
    calm = replace(scene, engagements=(), fps=35.0, num_frames=30, commands=(), map_tics=())
    large, *_ = engine.play_apart(calm, SETTINGS.timeout_s)
    small, *_ = engine.play_apart(replace(calm, shown_size=(160, 120)), SETTINGS.timeout_s)
    assert small.shape == (30, 120, 160, 3)
    mean = large.reshape(30, 120, 2, 160, 2, 3).mean(axis=(2, 4))
    assert np.abs(small - mean).max() <= 1


def test_how_often_it_is_filmed_changes_neither_labels_nor_sound(scene: GameScene) -> None:
    """Of a player who stands and fires, as how it walks depends on what it sees."""
    still = replace(scene, monsters=False, pace=0.0, max_turn_deg=0.0, commands=(), map_tics=())
    often = engine.play_apart(replace(still, fps=35.0, num_frames=105), SETTINGS.timeout_s)
    seldom = engine.play_apart(replace(still, fps=15.0, num_frames=45), SETTINGS.timeout_s)
    tics = discharge_tics(often[2])
    assert len(tics) > 1
    np.testing.assert_array_equal(discharge_tics(seldom[2]), tics)
    np.testing.assert_array_equal(seldom[1], often[1])


def test_a_muzzle_flash_brightens_the_picture_at_a_discharge(scene: GameScene) -> None:
    armed = replace(
        scene, monsters=False, weapon_visible=True, hud="none", fps=35.0, num_frames=105
    )
    frames, _, told = engine.play_apart(armed, SETTINGS.timeout_s)
    tics = discharge_tics(told)
    muzzle = frames[:, 120:, 120:200].mean(axis=(1, 2, 3))
    assert len(tics) > 0
    assert np.median(muzzle[tics] - muzzle[tics - 2]) > 1


def test_a_map_that_crashes_the_engine_is_dropped(scene: GameScene) -> None:
    deathmatch_only = replace(scene, scenario="cig.wad")
    with pytest.raises(UnusableDraw, match="engine_crashed"):
        engine.play_apart(deathmatch_only, SETTINGS.timeout_s)


def test_an_engine_that_hangs_is_dropped(
    scene: GameScene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine, "PLAYER", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(UnusableDraw, match="engine_timed_out"):
        engine.play_apart(scene, timeout_s=0.3)
    assert list(tmp_path.iterdir()) == []


def test_draws_that_cannot_be_labelled_are_tried_again_and_then_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    played: list[GameScene] = []

    def play_unclear(
        scene: GameScene, timeout_s: float
    ) -> tuple[np.ndarray, np.ndarray, Telemetry]:
        played.append(scene)
        nothing = np.empty((0, 240, 320, 3), np.uint8)
        return nothing, HUSH, telemetry(num_projectiles=held(1, 2))

    monkeypatch.setattr(engine, "play_apart", play_unclear)
    with pytest.raises(UnusableDraw, match="ended_early"):
        record(1, 0, SETTINGS)
    assert len({scene.seed for scene in played}) == SETTINGS.max_attempts


def test_what_is_stored_has_suffered_what_recorders_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def play(scene: GameScene, timeout_s: float) -> tuple[np.ndarray, np.ndarray, Telemetry]:
        frames = np.full((scene.num_frames, *scene.shown_size[::-1], 3), 90, np.uint8)
        return frames, HUSH, telemetry()

    monkeypatch.setattr(engine, "play_apart", play)
    monkeypatch.setattr(engine, "problem", lambda *_, **__: None)
    monkeypatch.setattr(engine.damage, "suffer", lambda frames, *_: np.full_like(frames, 7))
    assert (record(1, 1, SETTINGS)[0].frames == 7).all()


def test_a_discharge_is_heard_at_the_start_of_its_tic(scene: GameScene) -> None:
    armed = replace(scene, monsters=False, commands=(), fps=35.0, num_frames=105)
    frames, sound, told = engine.play_apart(armed, SETTINGS.timeout_s)
    size = SOUND_HZ // TIC_HZ
    assert len(sound) == len(frames) * size == len(told) * size
    tics = discharge_tics(told)
    first = tics[np.diff(tics, prepend=-TIC_HZ) > TIC_HZ // 2]
    assert len(first) > 0
    level = np.abs(sound.astype(np.float64)).max(axis=1)
    for tic in first:
        near = level[(tic - 1) * size : (tic + 2) * size]
        starts_s = (int(np.argmax(near > 0.2 * near.max())) - size) / SOUND_HZ
        assert 0 <= starts_s < 0.006
        assert near.max() > 1000


def test_a_take_brings_its_sound_from_its_first_frame_on(shooting_take: Take) -> None:
    heard = shooting_take.sound
    assert heard is not None
    assert heard.dtype == np.int16
    assert heard.shape == (round(len(shooting_take.frames) / shooting_take.format.fps * 48_000),)
    level = np.abs(heard.astype(np.float64))
    first = round(48_000 * shooting_take.discharges_s[0])
    assert level[first : first + 2400].max() > 3 * level[max(0, first - 4800) : first].max()


@pytest.mark.parametrize(("fps", "num_frames"), [(15.0, 34), (24.0, 55), (30.0, 69), (35.0, 80)])
def test_a_scene_is_heard_for_as_long_as_it_is_shown(fps: float, num_frames: int) -> None:
    drawn = replace(
        draw_scene(np.random.default_rng(3), FORMAT, 2.3, shoots=True),
        fps=fps,
        num_frames=num_frames,
    )
    assert 0 <= drawn.num_heard_tics - num_frames / fps * TIC_HZ < 1
    assert drawn.num_heard_tics >= drawn.num_tics


def test_gunfire_that_is_silent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the library of sound fails: the game then hands over zeros."""
    told = telemetry(ammo=100 + steps(t14=-1), trigger=held(10, 30))

    def play(scene: GameScene, timeout_s: float) -> tuple[np.ndarray, np.ndarray, Telemetry]:
        frames = np.full((scene.num_frames, *scene.shown_size[::-1], 3), 90, np.uint8)
        return frames, HUSH, told

    monkeypatch.setattr(engine, "play_apart", play)
    monkeypatch.setattr(engine, "problem", lambda *_: None)
    with pytest.raises(UserError, match=r"the game's sound is zero.*cyal"):
        record(1, 0, SETTINGS)


def test_the_library_of_sound_is_that_of_the_package_or_the_systems_or_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packaged = openal.packaged()
    if packaged is not None:
        assert openal.environment(tmp_path)["LD_LIBRARY_PATH"] == str(packaged.parent)
    monkeypatch.setattr(openal, "packaged", lambda: None)
    monkeypatch.setattr(openal, "_LIBRARY", "libc.so.6")
    assert set(openal.environment(tmp_path)) == {"ALSOFT_CONF"}
    monkeypatch.setattr(openal, "_LIBRARY", "libopenal-of-nobody.so.1")
    with pytest.raises(UserError, match=r"libopenal-of-nobody.*the game is silent; run: pip"):
        openal.environment(tmp_path)
