from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import GameSettings
from pipeline.engines.take import Take, VideoFormat, draw_format
from pipeline.engines.vizdoom import engine, record, record_long
from pipeline.engines.vizdoom.long_scene import draw_long_scene
from pipeline.engines.vizdoom.scene import (
    BULLET_SLOTS,
    FISTS,
    FUSED_BARREL,
    PISTOL,
    ROCKETS,
    SOUND_HZ,
    TIC_HZ,
    GameScene,
)
from pipeline.engines.vizdoom.telemetry import (
    PART_TICS,
    Telemetry,
    discharge_tics,
    problem_of_long,
)

SETTINGS = GameSettings(
    num_recordings=2,
    duration_s=30.0,
    heights=[96],
    rates_fps=[15.0],
    timeout_s=60.0,
    max_attempts=4,
)
FORMAT = VideoFormat(width=192, height=144, fps=15.0, kbit_s=100, keyint=30)
NUM_TICS = 6 * PART_TICS


@pytest.fixture(scope="module")
def shooting() -> Take:
    return record_long(2, 0, SETTINGS)[0]


def telemetry(**changes: np.ndarray) -> Telemetry:
    """A walk of six parts with a pistol in hand during which nothing happens, but for `changes`."""
    calm = {name: np.zeros(NUM_TICS) for name in ("trigger", "damage_taken", "num_puffs", "y")}
    return replace(
        Telemetry(
            **calm,
            num_projectiles=np.zeros(NUM_TICS),
            ammo=np.full(NUM_TICS, 100.0),
            slot=np.full(NUM_TICS, float(PISTOL)),
            reach=np.full(NUM_TICS, 60.0),
            brightness=np.full(NUM_TICS, 60.0),
            x=np.arange(NUM_TICS) * 5.0,
        ),
        **changes,
    )


def during(start: int, stop: int, value: float = 1.0) -> np.ndarray:
    return np.where((np.arange(NUM_TICS) >= start) & (np.arange(NUM_TICS) < stop), value, 0.0)


FIRES = {"ammo": 100 - during(1004, NUM_TICS), "trigger": during(1000, 1010)}


def test_bullets_strike_only_where_the_player_fires_or_strikes() -> None:
    own = telemetry(**FIRES, num_puffs=during(1004, 1020))
    assert discharge_tics(own).tolist() == [1004]
    assert problem_of_long(own, NUM_TICS) is None
    others = telemetry(**FIRES, num_puffs=during(1004, 1020) + during(3000, 3010))
    assert problem_of_long(others, NUM_TICS) == "somebody_else_fired"
    blow = {"slot": np.full(NUM_TICS, float(FISTS)), "trigger": during(1000, 1010)}
    assert problem_of_long(telemetry(**blow, num_puffs=during(1004, 1020)), NUM_TICS) is None


def test_what_is_no_firearm_leaves_a_recording_without_discharges() -> None:
    rockets = telemetry(
        slot=np.full(NUM_TICS, float(ROCKETS)),
        ammo=40 - during(1004, NUM_TICS),
        trigger=during(1000, 1010),
        num_projectiles=during(1004, 1100),
        damage_taken=during(1100, NUM_TICS, 20.0),
    )
    assert discharge_tics(rockets).size == 0
    assert problem_of_long(rockets, NUM_TICS) is None


def test_one_part_of_six_may_be_dull_and_two_may_not() -> None:
    for dull, name in (("reach", "faces_a_wall"), ("brightness", "too_dark")):
        one, two = (
            telemetry(**{dull: np.full(NUM_TICS, 60.0) - during(0, parts * PART_TICS, 58.0)})
            for parts in (1, 2)
        )
        assert problem_of_long(one, NUM_TICS) is None
        assert problem_of_long(two, NUM_TICS) == name
    stands = telemetry(x=np.maximum(np.arange(NUM_TICS) - 2 * PART_TICS, 0) * 5.0)
    assert problem_of_long(stands, NUM_TICS) == "stands_still"


@pytest.mark.parametrize(
    ("told", "num_tics", "reason"),
    [
        (telemetry(), NUM_TICS + 1, "ended_early"),
        (
            telemetry(ammo=100 + during(1005, NUM_TICS, 9.0), trigger=during(1000, 1010)),
            NUM_TICS,
            "ammo_picked_up_while_firing",
        ),
    ],
)
def test_what_cannot_be_labelled_has_a_reason(told: Telemetry, num_tics: int, reason: str) -> None:
    assert problem_of_long(told, num_tics) == reason


def drawn(*, shoots: bool, duration_s: float = 120.0) -> list[GameScene]:
    return [
        draw_long_scene(np.random.default_rng([5, number]), FORMAT, duration_s, shoots=shoots)
        for number in range(60)
    ]


def test_engagements_are_several_with_quiet_stretches_of_many_seconds_between() -> None:
    scenes = drawn(shoots=True)
    assert all(scene.fired_slots == BULLET_SLOTS for scene in scenes)
    assert all(set(scene.slots) <= set(BULLET_SLOTS) for scene in scenes)
    numbers = [len(scene.engagements) for scene in scenes]
    assert min(numbers) >= 2
    assert max(numbers) >= 6
    for scene in scenes:
        tics = [0, *(tic for pair in scene.engagements for tic in pair)]
        assert tics[-1] <= scene.num_tics
        calm = np.subtract(tics[1::2], tics[:-1:2])
        assert calm[0] >= 3 * TIC_HZ - 1
        assert (calm[1:] >= 8 * TIC_HZ - 1).all()


def test_who_is_meant_to_be_quiet_attacks_with_no_firearm_or_not_at_all() -> None:
    scenes = drawn(shoots=False)
    assert 20 <= sum(len(scene.engagements) > 0 for scene in scenes) <= 50
    for scene in scenes:
        assert not set(scene.fired_slots) & set(BULLET_SLOTS)
        if scene.engagements:
            assert set(scene.slots) & set(scene.fired_slots)
    assert {slot for scene in scenes for slot in scene.slots} > set(BULLET_SLOTS)


@pytest.mark.parametrize("shoots", [True, False])
def test_incidents_are_alike_for_both_kinds_and_far_from_engagements(shoots: bool) -> None:
    scenes = drawn(shoots=shoots)
    commands = {command.split("_")[0] for scene in scenes for _, command in scene.commands}
    assert {
        f"summon {FUSED_BARREL}",
        "summon Medikit",
        "menu",
        "closemenu",
        "give ammo",
    } <= commands
    assert ("summon Shotgun" in commands) == (not shoots)
    assert any(scene.map_tics for scene in scenes)
    assert {scene.fireballs for scene in scenes} == {True, False}
    for scene in scenes:
        calls = [tic for tic, command in scene.commands if command.startswith(("summon", "menu"))]
        for tic in [*calls, *(tic for pair in scene.map_tics for tic in pair)]:
            assert not any(a - 3.9 * TIC_HZ < tic < b for a, b in scene.engagements)


def test_a_barrel_with_a_fuse_is_heard_two_seconds_later_and_is_no_discharge() -> None:
    (scene, *_) = drawn(shoots=False, duration_s=5.0)
    calm = replace(
        scene,
        iwad="freedoom2.wad",
        scenario=None,
        game_map="MAP01",
        monsters=False,
        engagements=(),
        map_tics=(),
        pace=0.0,
        commands=(),
    )
    _, without, _ = engine.play_apart(calm, SETTINGS.timeout_s)
    fused = replace(calm, commands=((20, f"summon {FUSED_BARREL}"),))
    _, sound, told = engine.play_apart(fused, SETTINGS.timeout_s)
    assert discharge_tics(told).size == 0
    assert told.num_puffs.max() == 0
    added = np.abs(sound.astype(np.float64) - without).max(axis=1)
    bang_tic = int(np.argmax(added > 10_000)) * TIC_HZ / SOUND_HZ
    assert 20 + 60 <= bang_tic <= 20 + 75


def test_a_long_take_says_what_it_is_and_its_discharges_are_heard(shooting: Take) -> None:
    assert shooting.name == shooting.recording == "vizdoom-long-00000"
    assert shooting.frames.shape[0] == 450
    assert shooting.format == draw_format(2, 0, "vizdoom-long", [96], [15.0])
    assert len(shooting.discharges_s) > 0
    assert shooting.sound is not None
    assert len(shooting.sound) == 30 * 48_000
    level = np.abs(shooting.sound.astype(np.float64))
    first = round(48_000 * shooting.discharges_s[0])
    assert level[first : first + 2400].max() > 2 * level[max(0, first - 9600) : first].max()


def test_a_long_take_is_the_same_again(shooting: Take) -> None:
    again = record_long(2, 0, SETTINGS)[0]
    np.testing.assert_array_equal(again.frames, shooting.frames)
    np.testing.assert_array_equal(again.sound, shooting.sound)  # type: ignore[arg-type]
    assert again.discharges_s == shooting.discharges_s


def test_a_process_of_minutes_may_take_longer_than_one_of_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: list[float] = []

    def play(scene: GameScene, timeout_s: float) -> tuple[np.ndarray, np.ndarray, Telemetry]:
        limits.append(timeout_s)
        raise engine.UnusableDraw("engine_timed_out")

    monkeypatch.setattr(engine, "play_apart", play)
    for recorder in (record, record_long):
        with pytest.raises(engine.UnusableDraw):
            recorder(1, 0, SETTINGS)
    assert limits == [60.0, 90.0]
