from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from pipeline.config import RenderSettings
from pipeline.engines import bodycam, damage, film, location, twins
from pipeline.engines.acoustics.scene import Microphone
from pipeline.engines.render.script import LOCATIONS, NUM_CELLS, DesignCell, Script
from pipeline.engines.render.sound import Listener
from pipeline.engines.render.takes import Recipe
from pipeline.engines.take import SOUND_HZ, UnusableDraw, VideoFormat

HIGH, AHEAD = np.array((0.0, 0.0, 1.4)), np.array((0.0, 1.0, 0.0))
SETTINGS = RenderSettings(num_recordings=1, duration_s=0.5, heights=[96], rates_fps=[10.0])


class Plain:
    """An appearance that costs nothing: grey frames."""

    origin: ClassVar[str] = "real"
    family: ClassVar[str] = "plain"
    can_bar: ClassVar[bool] = False
    model = "grey"
    viewpoint = "fixed"
    overlay = "none"
    has_own_weapon = True

    def __init__(self, script: Script, format: VideoFormat) -> None:
        self.script, self.format = script, format

    @staticmethod
    def is_bystander(cell: DesignCell) -> bool:
        return cell.scene == 0

    def frames(self) -> np.ndarray:
        size = (self.format.num_frames(self.script.duration_s), self.format.height)
        return np.full((*size, self.format.width, 3), 99, np.uint8)

    def listener(self) -> Listener:
        return Listener(Microphone(), lambda _: HIGH, lambda _: (HIGH, AHEAD), ())


class Game(Plain):
    origin: ClassVar[str] = "game"
    family: ClassVar[str] = "arcade"
    can_bar: ClassVar[bool] = True
    has_own_weapon = False


class Hidden(Plain):
    def frames(self) -> np.ndarray:
        raise UnusableDraw("all_dark")


def test_every_appearance_shows_the_same_recording_in_the_same_format() -> None:
    real, game = Recipe("mine", (Plain, Game)).record(7, 3, SETTINGS)
    assert (real.recording, real.discharges_s, real.format) == (
        game.recording,
        game.discharges_s,
        game.format,
    )
    assert real.recording == "mine-7-00003"
    assert [one.origin for one in (real, game)] == ["real", "game"]
    assert [one.name for one in (real, game)] == ["plain-grey-00003", "arcade-grey-00003"]
    assert "weapon=own" in real.notes
    assert "weapon=own" not in game.notes


def test_sound_is_as_long_as_the_frames() -> None:
    for rate_fps in (10.0, 12.5, 29.97):
        settings = replace(SETTINGS, rates_fps=[rate_fps])
        for take in Recipe("mine", (Plain, Game)).record(7, 3, settings):
            assert take.sound is not None
            assert take.sound.dtype == np.int16
            assert take.sound.shape == (round(len(take.frames) / rate_fps * SOUND_HZ),)


def test_a_recipe_may_name_its_sources_and_choose_its_scenes() -> None:
    recipe = Recipe("mine", (Plain,), LOCATIONS[: NUM_CELLS // 2], family="places")
    (take,) = recipe.record(7, 3, SETTINGS)
    assert take.source == "places-grey"
    assert "place=" in take.notes
    assert "photograph of a real place" in take.authority


def test_nobody_acts_with_the_camera_where_one_appearance_needs_a_bystander() -> None:
    for index in range(NUM_CELLS):
        script = Recipe("mine", (Game,)).script(7, index, 0.5)
        if Plain.is_bystander(script.cell):
            assert script.weapon is None
            assert script.own_discharges_s == ()


def test_only_an_appearance_that_can_have_bars_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        damage, "suffer", lambda frames, fps, rng, *, can_bar: asked.append(can_bar) or frames
    )
    Recipe("mine", (Plain, Game)).record(7, 3, SETTINGS)
    assert asked == [False, True]


def test_what_shows_nothing_of_use_drops_the_recording() -> None:
    with pytest.raises(UnusableDraw, match="all_dark"):
        Recipe("mine", (Plain, Hidden)).record(7, 3, SETTINGS)


def test_each_engine_has_a_recipe_of_its_own_name() -> None:
    for module in (bodycam, film, location, twins):
        assert module.RECIPE.engine == module.__name__.rpartition(".")[2]
        assert module.record == module.RECIPE.record
