from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.config import GameSettings
from pipeline.engines.openarena import engine, game, missing, record, record_long
from pipeline.engines.openarena.events import FOLLOWED, FrameEvents, long_windows, read, windows
from pipeline.engines.openarena.scene import (
    BOTS,
    OWN_MINDS,
    MatchScene,
    draw_long_scene,
    draw_scene,
)
from pipeline.engines.take import Take, UnusableDraw, VideoFormat
from pipeline.errors import UserError
from pipeline.store import video
from tests.made import write_with_sound

SETTINGS = GameSettings(
    num_recordings=2,
    duration_s=2.0,
    heights=[48],
    rates_fps=[15.0, 24.0],
    max_attempts=6,
    timeout_s=120.0,
)
FORM = VideoFormat(width=64, height=48, fps=10.0, kbit_s=100, keyint=30)
FPS = 10.0
NUM_FRAMES = 120
PART = 20
PRINTED = f"""\
ent:  3  event: 23 EV_FIRE_WEAPON
frame:0 all:  6 sv:  1 ev:350 cl:  2 gm:  0 rf:  0 bk:  1
ent:  {FOLLOWED}  event: 23 EV_FIRE_WEAPON
ent:151  event: 54 EV_SHOTGUN
frame:1 all: 13 sv:  1 ev:  7 cl:  5 gm:  0 rf:  3 bk:  2
Grism^7 was melted by Sergei^7's plasmagun
frame:2 all: 13 sv:  1 ev:  7 cl:  5 gm:  0 rf:  3 bk:  2
ent:  4  event: 23 EV_FIRE_WEAPON
ent: 90  event: 50 EV_MISSILE_HIT
ent:  {FOLLOWED}  event: 59 EV_DEATHx
frame:3 all: 13 sv:  1 ev:  7 cl:  5 gm:  0 rf:  3 bk:  2
"""


def timeline(**frames: list[int]) -> FrameEvents:
    """A calm match in which what is named happens in the given frames."""
    calm = FrameEvents(*np.zeros((5, NUM_FRAMES), bool))
    for name, numbers in frames.items():
        getattr(calm, name)[numbers] = True
    return calm


def scene(number: int, *, shoots: bool) -> MatchScene:
    return draw_scene(np.random.default_rng([3, number]), 4.4, shoots=shoots)


def test_events_belong_to_the_frame_that_ends_after_them() -> None:
    told = read(PRINTED)
    assert told.own_fire.tolist() == [True, False, False]
    assert told.impact.tolist() == [True, False, False]
    assert told.other_fire.tolist() == [False, False, True]
    assert told.other_weapon.tolist() == [False, False, True]
    assert told.death.tolist() == [False, False, True]


def test_a_game_that_printed_nothing_has_no_frame_and_no_window() -> None:
    assert len(read("")) == 0
    assert len(windows(read(""), FPS, PART, shoots=True)) == 0


def test_a_shooting_window_holds_a_discharge_well_before_its_end() -> None:
    starts = windows(timeline(own_fire=[60]), FPS, PART, shoots=True)
    assert starts.tolist() == list(range(60 - PART + 5 + 1, 61))


def test_a_quiet_window_holds_no_discharge_of_anybody_nor_follows_one_closely() -> None:
    for who in ("own_fire", "other_fire", "impact"):
        starts = windows(timeline(**{who: [60]}), FPS, PART, shoots=False)
        assert starts.tolist() == [*range(20, 60 - PART + 1), *range(66, NUM_FRAMES - PART + 1)]


def test_others_may_fire_only_together_with_the_followed_player() -> None:
    together = windows(timeline(own_fire=[60], other_fire=[62]), FPS, PART, shoots=True)
    apart = windows(timeline(own_fire=[60], other_fire=[50]), FPS, PART, shoots=True)
    assert 50 in together
    assert 61 not in together
    assert min(apart) == 51


@pytest.mark.parametrize("shoots", [False, True])
def test_no_window_shows_a_blow_of_the_gauntlet(shoots: bool) -> None:
    told = timeline(own_fire=[45, 90] if shoots else [], other_weapon=[60])
    starts = windows(told, FPS, PART, shoots=shoots)
    assert len(starts) > 0
    assert not any(start <= 60 < start + PART for start in starts)


@pytest.mark.parametrize("shoots", [False, True])
def test_no_window_shows_the_view_of_a_dead_player(shoots: bool) -> None:
    told = timeline(own_fire=[35, 110] if shoots else [], death=[50])
    starts = windows(told, FPS, PART, shoots=shoots)
    assert set(starts) & set(range(31))
    assert set(starts) & set(range(91, 101))
    assert not any(start <= 90 and start + PART > 50 for start in starts)


def test_no_window_ends_between_anothers_discharge_and_the_own() -> None:
    told = timeline(own_fire=[50, 72], other_fire=[70])
    starts = windows(told, FPS, PART, shoots=True)
    assert 50 in starts
    assert 51 not in starts
    assert 70 not in starts


def test_a_match_shorter_than_the_window_has_none() -> None:
    assert len(windows(timeline(), FPS, NUM_FRAMES + 1, shoots=False)) == 0


LONG = 600


def minutes(**frames: list[int]) -> FrameEvents:
    """As `timeline`, of a match of 80 s."""
    calm = FrameEvents(*np.zeros((5, 800), bool))
    for name, numbers in frames.items():
        getattr(calm, name)[numbers] = True
    return calm


FIRES = {"own_fire": [100, 110, 300, 310, 500], "impact": [100, 111, 300, 310, 502]}


def test_a_long_window_holds_engagements_with_quiet_between() -> None:
    starts = long_windows(minutes(**FIRES), FPS, LONG, shoots=True)
    # Neither while the player arrives, nor in the 2 s after a discharge.
    assert starts.tolist() == [*range(20, 100), *range(131, 200 + 1)]
    one = {name: [number for number in numbers if number < 105] for name, numbers in FIRES.items()}
    assert len(long_windows(minutes(**one), FPS, LONG, shoots=True)) == 0
    goes_on = minutes(own_fire=[10, 70, 300], impact=[10, 70, 300])
    assert long_windows(goes_on, FPS, LONG, shoots=True).tolist() == [*range(31, 70)]
    close = minutes(own_fire=[100, 170], impact=[100, 170])
    assert len(long_windows(close, FPS, LONG, shoots=True)) == 0


@pytest.mark.parametrize(
    "unknown",
    [
        {"other_fire": [700]},
        {"impact": [700]},
        {"own_fire": [700], "other_weapon": [700]},
    ],
)
def test_no_long_window_of_a_shooter_holds_what_nobody_can_label(
    unknown: dict[str, list[int]],
) -> None:
    told = {name: [*FIRES.get(name, []), *unknown.get(name, [])] for name in {**FIRES, **unknown}}
    starts = long_windows(minutes(**told), FPS, LONG, shoots=True)
    assert starts.tolist() == [*range(20, 100)]


def test_a_long_window_of_a_shooter_may_hold_blows_of_others_and_deaths() -> None:
    # Two of the blows fall into frames of shots whose bullets strike in them.
    blows = [110, 300, 400, 450]
    others = minutes(**FIRES, other_fire=blows, other_weapon=blows, death=[451])
    others.impact[110] = True
    starts = long_windows(others, FPS, LONG, shoots=True)
    assert starts.tolist() == long_windows(minutes(**FIRES), FPS, LONG, shoots=True).tolist()
    assert np.flatnonzero(others.discharge).tolist() == FIRES["own_fire"]


@pytest.mark.parametrize("what", ["own_fire", "other_fire", "impact"])
def test_a_quiet_long_window_holds_blows_and_no_shot_and_begins_well_after_one(what: str) -> None:
    blows = {"own_fire": [300], "other_fire": [310], "other_weapon": [300, 310], "death": [311]}
    assert len(long_windows(minutes(**blows), FPS, LONG, shoots=False)) == 181
    told = {**blows, what: [*blows.get(what, []), 100]}
    starts = long_windows(minutes(**told), FPS, LONG, shoots=False)
    assert starts.tolist() == [*range(121, 201)]
    assert len(long_windows(minutes(), FPS, 801, shoots=False)) == 0


def long_scenes(*, shoots: bool) -> list[MatchScene]:
    return [
        draw_long_scene(np.random.default_rng([4, number]), 120.0, shoots=shoots)
        for number in range(60)
    ]


def test_in_long_matches_that_shoot_the_followed_player_alone_has_firearms() -> None:
    for drawn in long_scenes(shoots=True):
        followed, *others = drawn.bots
        assert followed.has_firearms
        assert followed.name in OWN_MINDS
        assert 1 <= len(others) <= 3
        assert not any(bot.has_firearms for bot in others)
        assert {bot.team for bot in others} != {followed.team} or followed.team == ""
        assert len({bot.name for bot in drawn.bots}) == len(drawn.bots)
        assert drawn.match_s > 120 + 2


def test_long_matches_that_are_quiet_are_fights_with_the_gauntlet_and_walks_with_guns() -> None:
    scenes = long_scenes(shoots=False)
    fights = [drawn for drawn in scenes if not drawn.bots[0].has_firearms]
    walks = [drawn for drawn in scenes if drawn.bots[0].has_firearms]
    assert 20 < len(fights) < 50
    assert not any(bot.has_firearms for drawn in fights for bot in drawn.bots)
    assert all(len({bot.team for bot in drawn.bots} - {""}) == 1 for drawn in walks)
    assert any(len(drawn.bots) == 1 for drawn in walks)


def test_who_has_no_firearms_takes_the_gauntlet_and_who_has_some_has_a_file_of_his_own() -> None:
    guns = r'weight "(?:Machinegun|Shotgun|Chaingun)".*return (\d+);'
    armed = long_scenes(shoots=True)[0]
    files = game.bot_files(armed)
    own = f"botfiles/bots/{armed.bots[0].name.lower()}_w.c"
    assert set(files) == {"botfiles/fuzw.c", own}
    assert set(re.findall(guns, files["botfiles/fuzw.c"])) == {"0"}
    assert 'weight "Gauntlet" { return 1; }' in files["botfiles/fuzw.c"]
    assert min(map(int, re.findall(guns, files[own]))) >= 100
    assert files[own].startswith('#include "inv.h"')
    everybody = game.bot_files(scene(1, shoots=True))
    assert set(everybody) == {"botfiles/fuzw.c"}
    assert min(map(int, re.findall(guns, everybody["botfiles/fuzw.c"]))) >= 100


def test_scenes_that_shoot_have_opponents_and_differ_by_draw() -> None:
    scenes = [scene(number, shoots=True) for number in range(40)]
    for drawn in scenes:
        teams = {bot.team for bot in drawn.bots}
        assert len(drawn.bots) > 1
        assert teams in ({""}, {"red", "blue"})
        assert drawn.weights["Gauntlet"] < drawn.weights["Machinegun"]
    assert len({drawn.game_map for drawn in scenes}) > 15
    assert {drawn.scale for drawn in scenes} == {1, 2}
    assert len({drawn.seed for drawn in scenes}) == 40


def test_quiet_scenes_are_fights_and_walks_with_comrades() -> None:
    scenes = [scene(number, shoots=False) for number in range(40)]
    comrades = [s for s in scenes if len(s.bots) > 1 and len({bot.team for bot in s.bots}) == 1]
    walks = [s for s in comrades if s.bots[0].team]
    alone = [s for s in scenes if len(s.bots) == 1]
    assert len(walks) > 5
    assert 0 < len(alone) < len(walks)
    assert len(walks) + len(alone) < 35


def test_no_player_wears_a_model_for_adults() -> None:
    flagged = {"Angelyss", "Dark", "Murielle", "Nekoyss", "Tanisha", "Rai", "Arachna", "Ayumi"}
    assert not set(BOTS) & (flagged | {"Jenna", "Sorceress"})


def test_variables_are_quoted() -> None:
    assert game.configuration({"a": 1, "b": ""}) == 'set a "1"\nset b ""\n'


def test_bots_take_guns_by_weight_and_nothing_that_is_no_firearm() -> None:
    text = game.weapon_choice({"Gauntlet": 1, "Machinegun": 7, "Shotgun": 8, "Chaingun": 9})
    returned = dict(re.findall(r'weight "([^"]+)".*return (\d+);', text))
    assert len(returned) == 13
    guns = {"Gauntlet": "1", "Machinegun": "7", "Shotgun": "8", "Chaingun": "9"}
    assert returned == dict.fromkeys(returned, "0") | guns


def test_the_match_has_no_pickup_of_another_weapon(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(
        game.process, "play", lambda command, *_: commands.append(list(command)) or ""
    )
    drawn = scene(1, shoots=True)
    game.record_match(drawn, tmp_path, 1.0)
    base = tmp_path / ".openarena" / "baseoa"
    settings = (base / "autoexec.cfg").read_text()
    for name in ("rocketlauncher", "railgun", "plasmagun", "lightning", "nailgun", "bfg"):
        assert f'set disable_weapon_{name} "1"' in settings
    play = (base / "play.cfg").read_text().splitlines()
    assert play[0] == f"devmap {drawn.game_map}"
    assert [line.split()[1] for line in play if line.startswith("addbot")] == [
        bot.name for bot in drawn.bots
    ]
    assert commands[0][0] == "cc"
    assert sum(part == "+set" for part in commands[-1]) < 32


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A root folder in which all that the game needs is there, as empty files."""
    for _, pattern in game._NEEDED:
        path = tmp_path / pattern.replace("*", "any").removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.setattr(game, "_ROOT", tmp_path)
    monkeypatch.setattr(game, "_COMPILER", "sh")
    return tmp_path


@pytest.mark.usefixtures("installed")
def test_nothing_is_missing_where_everything_is_there() -> None:
    assert missing() is None


@pytest.mark.parametrize(("what", "pattern"), game._NEEDED)
def test_one_thing_that_is_missing_is_said_in_one_line(
    what: str, pattern: str, installed: Path
) -> None:
    (installed / pattern.replace("*", "any").removeprefix("/")).unlink()
    assert missing() == f"OpenArena needs {what}; `make games` installs what is missing"


@pytest.mark.usefixtures("installed")
def test_a_compiler_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(game, "_COMPILER", "no-such-compiler")
    assert "a C compiler" in str(missing())


def test_a_film_that_the_game_would_split_is_made_in_the_size_of_the_file() -> None:
    drawn = replace(scene(1, shoots=True), scale=2, match_s=15.0)
    small, large = replace(FORM, fps=30.0), VideoFormat(1280, 720, 30.0, 4000, 30)
    assert engine.film_size(drawn, small) == (128, 96)
    assert engine.film_size(drawn, large) == (1280, 720)


def test_a_film_that_the_game_would_split_in_any_size_is_refused_and_none_of_minutes_is() -> None:
    for fps in (15.0, 60.0):
        form = VideoFormat(256, 144, fps, 4000, 30)
        for drawn in long_scenes(shoots=True):
            width, height = engine.film_size(drawn, form)
            assert (width, height) in ((256, 144), (512, 288))
            assert 3 * width * height * fps * drawn.match_s < 2**31
    minutes_long = replace(scene(1, shoots=True), match_s=148.0)
    with pytest.raises(UserError, match=r"148 s in 1280x720 at 30 .* 12\.3 GB.* set duration_s"):
        engine.film_size(minutes_long, VideoFormat(1280, 720, 30.0, 4000, 30))


def test_a_film_that_is_too_short_is_dropped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    film = tmp_path / "film.mkv"
    grey = np.full((5, 48, 64, 3), 90, np.uint8)
    film.write_bytes(video.encode(grey, FPS, crf=20, keyint=5))
    monkeypatch.setattr(engine, "play", lambda *_: (timeline(), film))
    with pytest.raises(UnusableDraw, match="film_incomplete"):
        record(1, 1, SETTINGS)


def test_every_discharge_of_anybody_within_a_take_is_labelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = timeline(own_fire=[50, 60, 61, 100], other_fire=[52, 60, 99, 102])
    starts: list[int] = []

    def film(_: Path, start: int, num_frames: int, form: VideoFormat) -> np.ndarray:
        starts.append(start)
        shape = (num_frames, form.height, form.width, 3)
        return np.random.default_rng(1).integers(0, 255, shape, np.uint8)

    monkeypatch.setattr(engine, "play", lambda *_: (told, Path()))
    monkeypatch.setattr(engine, "_read_film", film)
    monkeypatch.setattr(engine, "_read_sound", lambda *_: np.zeros((100, 2), np.int16))
    monkeypatch.setattr(engine, "draw_format", lambda *_: FORM)
    num_discharges = []
    for number in range(24):
        take = record(number, number % 2, SETTINGS)[0]
        start = starts[-1]
        expected = [
            (frame - start) / FPS
            for frame in (50, 52, 60, 61, 99, 100, 102)
            if start <= frame < start + len(take.frames)
        ]
        assert list(take.discharges_s) == pytest.approx(expected)
        num_discharges.append(len(expected))
    assert max(num_discharges[::2]) > 2
    assert not any(num_discharges[1::2])


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (np.zeros((20, 48, 64, 3), np.uint8), "too_dark"),
        (np.full((20, 48, 64, 3), 90, np.uint8), "faces_a_wall"),
        (
            np.repeat(np.random.default_rng(1).integers(0, 255, (1, 48, 64, 3), np.uint8), 20, 0),
            "stands_still",
        ),
        (np.random.default_rng(1).integers(0, 255, (20, 48, 64, 3), np.uint8), ""),
    ],
)
def test_what_is_not_worth_watching_has_a_reason(frames: np.ndarray, reason: str) -> None:
    assert engine.problem(frames, FPS) == reason


def test_one_part_of_six_of_a_long_take_may_be_dull() -> None:
    lively = np.random.default_rng(1).integers(0, 255, (1200, 24, 32, 3), np.uint8)
    assert engine.problem_of_long(lively, FPS) == ""
    for num_parts, reason in ((1, ""), (2, "too_dark")):
        dull = lively.copy()
        dull[: num_parts * 200] = 0
        assert engine.problem_of_long(dull, FPS) == reason


def test_matches_without_a_window_are_tried_again_and_then_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    played: list[MatchScene] = []

    def play_calmly(drawn: MatchScene, *_: object) -> tuple[FrameEvents, Path]:
        played.append(drawn)
        return timeline(), Path()

    monkeypatch.setattr(engine, "play", play_calmly)
    with pytest.raises(UnusableDraw, match="nobody_fired"):
        record(1, 0, SETTINGS)
    assert len({drawn.seed for drawn in played}) == SETTINGS.max_attempts


def noisy_film(_: Path, __: int, num_frames: int, form: VideoFormat) -> np.ndarray:
    shape = (num_frames, form.height, form.width, 3)
    return np.random.default_rng(1).integers(0, 255, shape, np.uint8)


def test_a_long_take_says_what_it_is_and_when_it_fires_and_may_be_played_for_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: list[float] = []

    def play(
        drawn: MatchScene, form: VideoFormat, folder: Path, timeout_s: float
    ) -> tuple[FrameEvents, Path]:
        limits.append(timeout_s)
        return minutes(**FIRES, other_fire=[400], other_weapon=[400]), Path()

    monkeypatch.setattr(engine, "play", play)
    monkeypatch.setattr(engine, "_read_film", noisy_film)
    monkeypatch.setattr(engine, "_read_sound", lambda *_: np.zeros((100, 2), np.int16))
    monkeypatch.setattr(engine, "draw_format", lambda *_: FORM)
    take = record_long(1, 8, replace(SETTINGS, duration_s=60.0))[0]
    assert take.name == take.recording == "openarena-long-00008"
    assert take.frames.shape == (LONG, 48, 64, 3)
    assert limits == [240.0]
    apart = np.diff(take.discharges_s)
    # The blow at 40 s is none.
    assert any(
        apart == pytest.approx(np.diff(FIRES["own_fire"][skipped:]) / FPS) for skipped in (0, 2)
    )


def test_what_is_stored_has_suffered_what_recorders_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "play", lambda *_: (timeline(), Path()))
    monkeypatch.setattr(engine, "_read_film", noisy_film)
    monkeypatch.setattr(engine, "_read_sound", lambda *_: np.zeros((100, 2), np.int16))
    monkeypatch.setattr(engine.damage, "suffer", lambda frames, *_: np.full_like(frames, 7))
    assert (record(1, 1, SETTINGS)[0].frames == 7).all()


@pytest.mark.parametrize("fps", [15.0, 24.0, 29.97])
def test_sound_of_a_film_begins_a_frame_before_its_pictures(tmp_path: Path, fps: float) -> None:
    """As the game writes it: a frame's worth of samples a frame, rounded down."""
    film = tmp_path / "film.avi"
    ends = [int(number * game.SOUND_HZ / fps) for number in range(41)]
    sound = np.concatenate(
        [np.full(end - begin, number) for number, (begin, end) in enumerate(pairwise(ends))]
    )
    write_with_sound(
        film,
        np.full((39, 48, 64, 3), 90, np.uint8),
        np.stack([sound, sound]) / 32768,
        codec="pcm_s16le",
        video_codec="mjpeg",
        rate=game.SOUND_HZ,
        fps=15,
    )
    heard = engine._read_sound(film, 10, 20, fps)
    assert heard.shape[0] == pytest.approx(20 * game.SOUND_HZ / fps, abs=1)
    assert set(heard.ravel()) == set(range(11, 31))
    with pytest.raises(UnusableDraw, match="film_incomplete"):
        engine._read_sound(film, 30, 20, fps)


def test_a_film_without_sound_is_an_error(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(video.encode(np.full((5, 48, 64, 3), 90, np.uint8), FPS))
    with pytest.raises(UserError, match=r"has no sound; install the game by make games"):
        engine._read_sound(film, 0, 5, FPS)


@pytest.fixture(scope="module")
def takes() -> list[Take]:
    absent = missing()
    if absent is not None:
        pytest.skip(absent)
    return [take for index in (0, 1) for take in record(5, index, SETTINGS)]


@pytest.mark.slow
def test_frames_sound_and_labels_are_the_same_in_two_processes(takes: list[Take]) -> None:
    for index, take in enumerate(takes):
        again = record(5, index, SETTINGS)[0]
        assert again.sound is not None
        assert take.sound is not None
        np.testing.assert_array_equal(again.frames, take.frames)
        np.testing.assert_array_equal(again.sound, take.sound)
        same = {"frames": take.frames, "sound": take.sound}
        assert vars(again) | same == vars(take)


@pytest.mark.slow
def test_a_take_has_its_format_and_its_discharges_lie_within_it(takes: list[Take]) -> None:
    shooting, quiet = takes
    for take in takes:
        num_frames = take.format.num_frames(SETTINGS.duration_s)
        assert take.frames.shape == (num_frames, take.format.height, take.format.width, 3)
        assert (take.origin, take.source) == ("game", "openarena")
        assert all(0 <= second < SETTINGS.duration_s for second in take.discharges_s)
        assert take.frames.std() > 5
        assert take.sound is not None
        assert take.sound.shape == (take.format.num_samples(num_frames),)
        assert take.sound.std() > 5
    assert shooting.discharges_s
    assert not quiet.discharges_s


@pytest.mark.slow
@pytest.mark.usefixtures("takes")
def test_a_muzzle_flash_brightens_the_very_frame_of_a_discharge(tmp_path: Path) -> None:
    drawn = scene(4, shoots=True)
    bare = replace(drawn, scale=1, picture=drawn.picture | {"cg_draw2D": 0, "cg_drawGun": 1})
    told, film = engine.play(bare, replace(FORM, fps=30.0), tmp_path, 120.0)
    with av.open(str(film)) as match:
        pictures = [picture.to_ndarray(format="rgb24") for picture in match.decode(video=0)]
    assert len(pictures) == len(told)
    right = np.array([picture[20:, 24:].mean() for picture in pictures])
    fired = np.flatnonzero(told.own_fire)
    fired = fired[(fired > 60) & (fired < len(right) - 2)]
    assert len(fired) > 0
    assert np.median(right[fired] - right[fired - 2]) > 3
    assert abs(np.median(right[fired - 1] - right[fired - 2])) < 2


@pytest.mark.slow
@pytest.mark.usefixtures("takes")
@pytest.mark.parametrize("fps", [15.0, 24.0])
def test_a_discharge_is_heard_at_the_start_of_its_frame(tmp_path: Path, fps: float) -> None:
    told, film = engine.play(scene(6, shoots=True), replace(FORM, fps=fps), tmp_path, 120.0)
    sound = engine._read_sound(film, 0, len(told), fps)
    level = np.abs(sound.astype(np.float64)).max(axis=1)
    fired = np.flatnonzero(told.own_fire)
    starts_s = []
    for frame in fired[np.diff(fired, prepend=-1000) > fps / 2]:
        at = round(frame * game.SOUND_HZ / fps)
        before, after = level[at - 2000 : at - 60], level[at - 60 : at + 2000]
        if after.max() > 2 * before.max():
            loud = after > max(0.3 * after.max(), 1.2 * before.max())
            starts_s.append((int(np.argmax(loud)) - 60) / game.SOUND_HZ)
    assert len(starts_s) >= 2
    assert all(abs(start_s) < 0.003 for start_s in starts_s)


@pytest.mark.slow
@pytest.mark.usefixtures("takes")
def test_a_long_take_of_the_game_is_the_same_again_and_its_discharges_are_loud() -> None:
    settings = replace(SETTINGS, duration_s=40.0, rates_fps=[15.0])
    take, again = (record_long(5, 0, settings)[0] for _ in range(2))
    np.testing.assert_array_equal(again.frames, take.frames)
    np.testing.assert_array_equal(again.sound, take.sound)  # type: ignore[arg-type]
    assert again.discharges_s == take.discharges_s
    assert take.frames.shape == (600, take.format.height, take.format.width, 3)
    assert max(np.diff(take.discharges_s)) > 8
    assert take.sound is not None
    level = np.abs(take.sound.astype(np.float64))
    louder = [
        level[at : at + 2400].max() > 1.5 * level[max(0, at - 2400) : at].max()
        for at in (round(48_000 * second) for second in take.discharges_s)
    ]
    assert np.mean(louder) > 0.1
