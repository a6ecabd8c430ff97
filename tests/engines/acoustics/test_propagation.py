import numpy as np
import pytest
from scipy import signal

from pipeline.engines.acoustics.air import Air
from pipeline.engines.acoustics.propagation import SoundSource, Space, late_part
from pipeline.engines.acoustics.room import ROOMS, Facade, Room
from pipeline.engines.acoustics.signals import RATE_HZ, Vector

PLAIN = Room("plain", 0.5, ground=0.0)


def space(room: Room, height_m: float = 1.4) -> Space:
    return Space.of(room, Air(), height_m, np.random.default_rng(0))


def at(x: float, y: float, z: float = 0.0) -> Vector:
    return np.array([x, y, z])


def octave(wave: Vector) -> Vector:
    """The octave around 500 Hz."""
    sections = signal.butter(3, (354, 707), "bandpass", fs=RATE_HZ, output="sos")
    return np.asarray(signal.sosfilt(sections, np.pad(wave, (0, 4800))))


def decay_s(wave: Vector) -> float:
    """Reverberation time by Schroeder's integral, from -5 to -25 dB."""
    wave = octave(wave)
    left = np.cumsum(wave[::-1] ** 2)[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    first, last = np.argmax(level < -5), np.argmax(level < -25)
    return float(3 * (last - first) / RATE_HZ)


def test_straight_sound_is_late_by_its_way_and_weak_by_1_over_r() -> None:
    for away in (2.0, 20.0):
        heard = space(PLAIN).response(SoundSource(at(0, away)))
        assert np.abs(heard).argmax() == pytest.approx(away / Air().speed_m_s * RATE_HZ, abs=1)
        assert heard.sum() == pytest.approx(1 / away, rel=0.02)


def test_the_ground_and_a_facade_answer_by_their_mirror_images() -> None:
    room = Room("wall", 0.5, ground=0.8, facades=(Facade(0, 30, 0.5),))
    heard = space(room).response(SoundSource(at(0, 10)))
    step = Air().speed_m_s / RATE_HZ

    def around(length: float) -> float:
        place = round(length / step)
        return float(heard[place - 40 : place + 40].sum())

    assert around(10.0) == pytest.approx(0.1, rel=0.05)
    assert around(np.hypot(10, 2.8)) == pytest.approx(0.8 / np.hypot(10, 2.8), rel=0.05)
    # Wall (50 m) and wall by way of the ground (50.08 m) arrive together.
    assert around(50.0) == pytest.approx(0.5 * 0.95 * (1 + 0.8) / 50, rel=0.05)


def test_a_muzzle_is_heard_from_its_front_and_by_the_wall_before_it() -> None:
    room = Room("wall", 0.5, ground=0.0, facades=(Facade(0, 30, 1.0),))
    away = SoundSource(at(0, 10), aim=at(0, 1))
    heard = space(room).response(away)
    step = Air().speed_m_s / RATE_HZ
    straight = heard[: round(20 / step)].sum()
    mirrored = heard[round(45 / step) :].sum()
    # It points away from the microphone and at the wall: 8 dB less, and 10 dB more.
    assert straight == pytest.approx(10 ** (-7 / 20) / 10, rel=0.03)
    assert mirrored == pytest.approx(0.95 * 10 ** (11 / 20) / 50, rel=0.05)


@pytest.mark.parametrize("name", ["room", "hall", "car_park"])
def test_a_box_decays_in_its_reverberation_time(name: str) -> None:
    room = ROOMS[name]
    assert decay_s(late_part(np.random.default_rng(1), room)) == pytest.approx(room.rt60_s, rel=0.2)
    heard = space(room).response(SoundSource(at(1.0, 1.5)))
    assert decay_s(heard) == pytest.approx(room.rt60_s, rel=0.35)


def test_reverberation_has_the_energy_of_a_diffuse_field() -> None:
    room = ROOMS["hall"]
    heard = space(room).response(SoundSource(at(4.0, 8.0)))
    impulse = np.zeros(RATE_HZ)
    impulse[0] = 1
    energy = np.sum(octave(heard) ** 2) / np.sum(octave(impulse) ** 2) - 1 / (4**2 + 8**2)
    assert energy == pytest.approx(room.diffuse_energy(), rel=0.35)


def test_what_is_outside_a_room_comes_dull_through_its_walls() -> None:
    inside = space(ROOMS["hall"]).response(SoundSource(at(0, 29)))
    outside = space(ROOMS["room"]).response(SoundSource(at(0, 29)))
    assert np.abs(outside).max() < 0.2 * np.abs(inside).max()

    def bright(wave: Vector) -> float:
        power = np.abs(np.fft.rfft(wave)) ** 2
        return float(power[len(power) // 12 :].sum() / power.sum())

    assert bright(outside) < 0.1 * bright(inside)


def test_a_vehicle_lets_its_sound_out_and_the_street_answers() -> None:
    closed = Room("vehicle", 0.08, ROOMS["vehicle"].size_m)
    source = SoundSource(at(0.4, 0.5))
    tail = space(ROOMS["vehicle"]).response(source)[RATE_HZ // 4 :]
    assert np.sum(tail**2) > 1e-6
    assert not space(closed).response(source)[RATE_HZ // 4 :].any()
    # What is outside of it comes through its doors with the street's answer.
    passing = space(ROOMS["vehicle"]).response(SoundSource(at(0, 8)))
    assert np.sum(passing[RATE_HZ // 4 :] ** 2) > 1e-8


def test_a_room_grows_for_what_is_said_to_be_in_it() -> None:
    size, listener = ROOMS["room"].holding(at(6.0, -1.0, 0.5), 1.4)
    source = listener + at(6.0, -1.0, 0.5)
    assert size[0] == pytest.approx(6.6)
    assert np.all(listener > 0)
    assert np.all(source > 0)
    assert np.all(listener < size)
    assert np.all(source < size)
    assert listener[2] == 1.4


@pytest.mark.parametrize("name", list(ROOMS))
def test_a_varied_room_is_another_of_its_kind(name: str) -> None:
    room = ROOMS[name]
    some = [room.varied(np.random.default_rng(k)) for k in range(20)]
    assert len({one.rt60_s for one in some}) == 20
    for one in some:
        assert one.name == name
        assert 0.75 < one.rt60_s / room.rt60_s < 1.3
        assert (one.size_m is None) == (room.size_m is None)
        assert len(one.facades) == len(room.facades)
        assert all(0 < facade.reflection <= 0.9 for facade in one.facades)
        assert 0 <= one.ground <= 0.95
        if one.size_m is not None and room.size_m is not None:
            assert all(0.7 < a / b < 1.4 for a, b in zip(one.size_m, room.size_m, strict=True))
