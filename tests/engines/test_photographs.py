"""Photographs seen by a camera that moves, at a small size."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from pipeline.config import RenderSettings
from pipeline.engines.acoustics.room import ROOMS
from pipeline.engines.photographs import engine, pictures, record, record_long, shots
from pipeline.engines.photographs.long_view import LongView, Zooms
from pipeline.engines.photographs.pictures import SOURCES, Panorama, Photograph, Still, read
from pipeline.engines.render.appearance.fleet import FLEETS
from pipeline.engines.render.world.location import PLACES
from pipeline.engines.take import SOUND_HZ, Take, draw_format
from pipeline.errors import UserError
from tests.engines.rendered import digest, digest_of_another_process

SEED = 5
SETTINGS = RenderSettings(num_recordings=52, duration_s=0.8, heights=[96], rates_fps=[15.0])
PANORAMA, FLAT = 7, len(PLACES) + 2
AHEAD = np.array((0, 1, 0), np.float32)


def two() -> list[Take]:
    """One of a panorama and one of a flat photograph."""
    return [*record(SEED, PANORAMA, SETTINGS), *record(SEED, FLAT, SETTINGS)]


@pytest.fixture(scope="module")
def takes() -> list[Take]:
    """A recording of every photograph and a second one of some."""
    return [take for index in range(len(SOURCES) + 4) for take in record(SEED, index, SETTINGS)]


def bands(rows: int, columns: int) -> np.ndarray:
    """A panorama whose red grows with the azimuth and whose green from top to bottom."""
    encoded = np.zeros((rows, columns, 3), np.float32)
    encoded[..., 0] = np.linspace(0.1, 0.9, columns)
    encoded[..., 1] = np.linspace(0.1, 0.9, rows)[:, None]
    return encoded


def stored(radiance: np.ndarray) -> np.ndarray:
    return (radiance / (1 + radiance)) ** (1 / 2.2)


def test_another_process_with_one_thread_makes_the_same_bytes(takes) -> None:
    again = digest_of_another_process(__name__, "two()")
    assert again == digest([takes[PANORAMA], takes[FLAT]])


def test_what_it_says_of_itself(takes) -> None:
    for take in takes:
        assert take.origin == "real"
        assert take.discharges_s == ()
        assert take.source.startswith("photograph-")
        assert "photograph" in take.authority
        assert "only the camera" in take.authority
        assert take.rendered == bool(take.heard_s)
        assert take.viewpoint in ("fixed", "hand-held", "body")
        assert take.name == take.recording
    assert {take.viewpoint for take in takes} == {"fixed", "hand-held", "body"}
    assert {take.licence for take in takes} == {"CC0-1.0", "CC-BY-2.0", "public domain"}


def test_in_one_of_two_that_share_a_track_at_most_shots_are_heard_and_nothing_is_seen(
    takes,
) -> None:
    for index in range(0, len(takes), 2):
        pair = takes[index : index + 2]
        track = pair[0].format.track
        assert track == pair[1].format.track or (track and track.music)
        fires = [shots.is_fired_at(SEED, index + one, "photographs", 0.25) for one in (0, 1)]
        assert sum(fires) <= 1
        is_heard = track is not None and not track.is_muted
        for take, fired in zip(pair, fires, strict=True):
            assert not take.heard_s or (fired and is_heard)
            assert f"shots heard={len(take.heard_s)}" in take.notes
            assert all(0 <= time_s < 0.7 for time_s in take.heard_s)
            assert list(take.heard_s) == sorted(take.heard_s)
            assert take.rendered == bool(take.heard_s)
    assert 2 <= sum(bool(take.heard_s) for take in takes) < len(takes) / 2


def test_somebody_fires_near_the_share_that_is_asked_for() -> None:
    for share in (0.25, 0.5):
        fires = [shots.is_fired_at(SEED, index, "any", share) for index in range(2000)]
        assert np.mean(fires) == pytest.approx(share, abs=0.04)
        assert np.mean(fires[::2]) == pytest.approx(share, abs=0.06)


def test_a_shot_is_loud_when_the_index_says_that_it_is_heard(monkeypatch) -> None:
    """Beside the same recording without it, from the time of the index on and not before."""
    index = next(i for i in range(52) if record(SEED, i, SETTINGS)[0].heard_s)
    (take,) = record(SEED, index, SETTINGS)
    monkeypatch.setattr(shots, "is_fired_at", lambda *drawn: False)
    (quiet,) = record(SEED, index, SETTINGS)
    assert quiet.heard_s == ()
    assert np.array_equal(take.frames, quiet.frames)
    assert take.sound is not None
    assert quiet.sound is not None
    heard = round(take.heard_s[0] * SOUND_HZ)
    # A gain that rises and falls with the level looks back no further than its own window.
    before = slice(0, max(0, heard - SOUND_HZ // 100))
    after = slice(heard, heard + SOUND_HZ // 20)
    change = np.abs(take.sound.astype(int) - quiet.sound.astype(int))
    assert change[after].max() > 10 * (change[before].max(initial=0) + 1)


def test_volleys_of_minutes_have_quiet_before_them() -> None:
    rng, room = np.random.default_rng(3), ROOMS["street"]
    events = shots.draw_long(rng, room, 120.0)
    times_s = np.array([event.time_s for event in events])
    assert times_s[0] >= 12
    gaps_s = np.diff(times_s)
    assert (gaps_s > 0).all()
    assert ((gaps_s < 1.7) | (gaps_s >= 20)).all()
    assert (gaps_s >= 20).any()
    for event in events:
        right, ahead, _ = event.offset_m
        assert abs(np.arctan2(right, ahead)) > np.radians(59)
        assert np.hypot(right, ahead) <= 90


def test_indices_take_the_photographs_in_turn(takes) -> None:
    assert len({take.source for take in takes[: len(SOURCES)]}) == len(SOURCES)
    assert len({take.recording for take in takes}) == len(takes)
    assert [take.source for take in takes[len(SOURCES) :]] == [t.source for t in takes[:4]]


def test_every_panorama_is_a_source_and_every_licence_allows_it() -> None:
    assert {place.name for place in PLACES} < {source.name for source in SOURCES}
    assert all(source.licence and source.authority for source in SOURCES)


def test_frames_have_the_format_and_are_neither_blank_nor_burnt_out(takes) -> None:
    for take in takes:
        form = take.format
        assert take.frames.dtype == np.uint8
        assert take.frames.shape == (form.num_frames(0.8), form.height, form.width, 3)
        assert take.frames.std() > 6
        assert (take.frames >= 250).mean() < 0.35


def test_frames_change_even_before_a_camera_that_stands_still(takes) -> None:
    for take in takes:
        same = [(a == b).all() for a, b in zip(take.frames, take.frames[1:], strict=False)]
        assert np.mean(same) < 0.7


def test_two_thirds_have_next_to_no_noise(takes) -> None:
    clean = ["clean=yes" in take.notes for take in takes]
    assert np.mean(clean) == pytest.approx(2 / 3, abs=0.05)
    still = [t for t in takes if t.viewpoint == "fixed" and "clean=yes" in t.notes]
    changes = [np.abs(np.diff(take.frames.astype(int), axis=0)).mean() for take in still]
    assert min(changes) < 1


def test_fields_of_view_lenses_walks_and_zooms_vary() -> None:
    words = [
        dict(word.split("=") for word in record(SEED, index, short())[0].notes.split(", "))
        for index in range(len(SOURCES))
    ]
    fields = [float(word["field"]) for word in words]
    assert min(fields) < 65
    assert max(fields) > 95
    assert 50 <= min(fields) <= max(fields) <= 105
    assert {word["lens"] for word in words} == {"fisheye", "pinhole"}
    for name, rest in (("speed", 0.0), ("look", 0.0), ("zoom", 1.0)):
        values = [float(word[name]) for word in words]
        assert rest in values
        assert len(set(values)) > 3


def short() -> RenderSettings:
    return replace(SETTINGS, duration_s=0.1)


def test_recordings_of_a_panorama_look_into_different_directions() -> None:
    headings = [engine.heading(SEED, k * len(SOURCES)) % (2 * np.pi) for k in range(5)]
    apart = np.diff(sorted([*headings, min(headings) + 2 * np.pi]))
    assert apart.min() > 0.8
    assert engine.heading(SEED, 1) != engine.heading(SEED + 1, 1)


def test_a_panorama_turns_to_the_right_and_goes_on_past_its_edge() -> None:
    encoded = bands(64, 128)
    rays = np.array([[[np.sin(turn), np.cos(turn), 0] for turn in (-0.3, 0.0, 0.3)]], np.float32)
    red = stored(Panorama(encoded, np.pi).radiance(rays))[0, :, 0]
    assert (np.diff(red) > 0).all()
    edge = stored(Panorama(encoded, 2 * np.pi - 1e-3).radiance(rays))[0, :, 0]
    assert edge[0] > 0.8 > 0.2 > edge[2]


def test_up_is_up() -> None:
    rays = np.array([[[0, 1, 1], [0, 1, -1]]], np.float32)
    green = stored(Panorama(bands(64, 128), 1.0).radiance(rays))[0, :, 1]
    assert green[0] < 0.4 < 0.6 < green[1]
    around = np.array([[x, 1, z] for x in (-0.5, 0.5) for z in (-1.0, 1.0)], np.float32)
    hung = Still(np.random.default_rng(0), bands(64, 128), around)
    green = stored(hung.radiance(rays))[0, :, 1]
    assert green[0] < green[1]


def test_a_flat_photograph_fills_all_that_the_camera_sees() -> None:
    rng = np.random.default_rng(1)
    seen = AHEAD + np.float32(0.6) * rng.uniform(-1, 1, (50, 3)).astype(np.float32)
    encoded = np.full((40, 60, 3), 0.2, np.float32)
    encoded[2:-2, 2:-2] = 0.8
    for seed in range(20):
        hung = Still(np.random.default_rng(seed), encoded, seen)
        assert stored(hung.radiance(seen[None])).min() > 0.5


def test_a_panorama_has_no_black_rims_around_its_lights() -> None:
    encoded = np.full((40, 40, 3), 180, np.uint8)
    encoded[17:24, 17:24] = 0
    encoded[19:22, 19:22] = 255
    encoded[5:15, 30:38] = 3
    mended = pictures._mended(encoded)
    assert mended[15:26, 15:26].min() > 150
    assert mended[20, 20].min() > 200
    assert mended[5:15, 30:38].max() == 3, "what is dark far from lights stays"


def test_a_photograph_that_is_not_installed_is_named_with_the_remedy() -> None:
    absent = Photograph("x", "CC0-1.0", "nobody", "room", package="skimage", path="data/absent.png")
    with pytest.raises(UserError, match=r"skimage/data/absent\.png: .*constraints\.txt"):
        read(absent)


def long(index: int) -> list[Take]:
    settings = replace(SETTINGS, duration_s=30.0, heights=[48], rates_fps=[5.0])
    return record_long(SEED, index, settings)


def test_minutes_are_one_file_whose_sound_is_as_long() -> None:
    (take,) = long(PANORAMA)
    assert take.name == take.recording == f"photographs-long-{PANORAMA:05d}"
    assert take.discharges_s == ()
    assert take.frames.shape[0] == 150
    assert take.sound is not None
    assert len(take.sound) == 30 * 48_000
    assert take.frames.std(axis=(1, 2, 3)).min() > 6


@pytest.mark.parametrize("fleet", FLEETS, ids=lambda fleet: fleet.name)
def test_a_camera_of_minutes_turns_now_and_then_and_holds_still_between(fleet) -> None:
    form = draw_format(SEED, 0, "photographs long", [48], [5.0])
    view = LongView(np.random.default_rng(SEED), SOURCES[PANORAMA], fleet, 0.0, form, 60.0)
    turns = view._movement.turns
    axes, _ = view._motion.camera(np.arange(0, 60, 0.1))
    speeds = 10 * np.arccos(np.clip((axes[1:, :, 2] * axes[:-1, :, 2]).sum(1), -1, 1))
    assert np.median(speeds) < 0.4
    if turns:
        assert all(late.start_s - early.end_s >= 3 for early, late in pairwise(turns))
        assert speeds.max() > 3 * np.median(speeds)


def test_minutes_of_a_flat_photograph_never_leave_it() -> None:
    (take,) = long(FLAT)
    assert take.frames.std(axis=(1, 2, 3)).min() > 6


def test_another_process_makes_the_same_minutes() -> None:
    assert digest_of_another_process(__name__, "long(7)") == digest(long(7))


def test_walks_zoom_in_and_turns_take_it_back() -> None:
    zooms = Zooms((0.0, 5.0, 10.0, 11.0), (1.0, 1.0, 1.4, 1.0))
    assert [zooms.at(time_s) for time_s in (2.0, 10.0, 20.0)] == pytest.approx([1.0, 1.4, 1.0])
    assert 1.1 < zooms.at(7.5) < 1.3
    assert zooms.last == 1.4
