"""From the recipe of an engine to the takes of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.config import RenderSettings
from pipeline.engines import damage
from pipeline.engines.acoustics.render import render
from pipeline.engines.acoustics.scene import SoundScene
from pipeline.engines.render.episodes import SHORTEST_S, LongScript, cell_of
from pipeline.engines.render.script import (
    ALL_ROUND,
    SCENES,
    DesignCell,
    Scene,
    Script,
    write_script,
)
from pipeline.engines.render.sound import Listener, long_sound_scene, sound_scene
from pipeline.engines.render.world.scene import ScenePlan
from pipeline.engines.take import SOUND_HZ, Take, VideoFormat, draw_format
from pipeline.errors import UserError

_RENDERED = "rendered by pipeline.engines.render; staged, no real event"
_PHOTOGRAPHED = (
    "photograph of a real place (Poly Haven, CC0), people and weapons "
    "rendered by pipeline.engines.render; staged, no real event"
)


class TakeRendering(Protocol):
    """What one kind of camera makes of a script, and what the index says of it."""

    origin: ClassVar[str]
    """What the picture imitates, for the index."""
    family: ClassVar[str]
    """What the name of a source begins with."""
    can_bar: ClassVar[bool]
    """Whether damage to the file may put black bars around its picture."""
    format: VideoFormat

    def frames(self) -> NDArray[np.uint8]:
        """Render uint8 (T, H, W, 3).

        Raises:
            UnusableDraw: nothing of use is to be seen.
        """

    @property
    def model(self) -> str:
        """The fleet, skin or style, which is what the name of a source ends with."""

    @property
    def viewpoint(self) -> str:
        """How the camera is carried, for the index."""

    @property
    def overlay(self) -> str:
        """What lies over the picture, once it was rendered, for the notes."""


class Appearance(TakeRendering, Protocol):
    """How a script looks through one kind of camera; made of the script and a format."""

    def __init__(self, script: Script, format: VideoFormat) -> None: ...

    @staticmethod
    def is_bystander(cell: DesignCell) -> bool:
        """Whether the camera of a cell is one that nobody acts with, as on a wall."""

    def listener(self) -> Listener:
        """Who or what hears the script."""

    @property
    def has_own_weapon(self) -> bool:
        """Whether the wearer or player has a weapon in hand."""


class LongAppearance(TakeRendering, Protocol):
    """How a place looks for minutes through one kind of camera; made of its script and a format."""

    script: LongScript
    """What happens before it."""

    def __init__(self, place: Script, format: VideoFormat) -> None: ...

    def listeners(self) -> Sequence[Listener]:
        """Who or what hears each episode of the script."""


@dataclass(frozen=True)
class Recipe:
    """What a ray-traced engine is made of."""

    engine: str
    """Its name, by which its draws differ from those of others."""
    appearances: Sequence[type[Appearance]]
    """How each recording is shown; the takes share the recording's name, so that no split can part
    them."""
    scenes: Sequence[Scene] = SCENES
    long_scenes: Sequence[Scene] = ALL_ROUND
    """Those of recordings of minutes."""
    family: str | None = None
    """What the names of sources begin with instead of the family of the appearance."""

    def script(self, seed: int, index: int, duration_s: float) -> Script:
        """Draw what happens in the recording of an index, for all appearances."""
        cell = DesignCell.of(index)
        bystander = any(one.is_bystander(cell) for one in self.appearances)
        return write_script(
            self.engine, seed, index, duration_s, bystander=bystander, scenes=self.scenes
        )

    def record(self, seed: int, index: int, settings: RenderSettings) -> list[Take]:
        """Render the recording of an index: a pure function of its arguments.

        Raises:
            UserError: a height that cannot be encoded.
            UnusableDraw: one of the appearances shows nothing of use.
        """
        script = self.script(seed, index, settings.duration_s)
        form = draw_format(seed, index, self.engine, settings.heights, settings.rates_fps)
        return [self._show(script, make(script, form)) for make in self.appearances]

    def _show(self, script: Script, appearance: Appearance) -> Take:
        frames = _damaged(appearance, script.rng(f"damage {appearance.origin}"))
        listener = appearance.listener()
        words = [
            *_place_words(script.plan),
            f"weapon={_weapon(script, appearance)}",
            f"overlay={appearance.overlay}",
            script.action,
            *(f"{one.kind} at {one.start_s:.1f} s" for one in script.incidents),
        ]
        return self._take(
            appearance,
            frames,
            sound_scene(script, listener, len(frames) / appearance.format.fps),
            name=f"{self._source(appearance)}-{script.index:05d}",
            happens=script,
            plan=script.plan,
            words=words,
        )

    def place(self, seed: int, index: int, duration_s: float) -> Script:
        """Draw where the long recording of an index is made; what it says of people is unused."""
        return write_script(
            self._long_engine,
            seed,
            index,
            duration_s,
            bystander=True,
            scenes=self.long_scenes,
            place_of=cell_of(index),
        )

    def record_long(
        self, make: type[LongAppearance], seed: int, index: int, settings: RenderSettings
    ) -> list[Take]:
        """Render the long recording of an index: a pure function of its arguments.

        Args:
            make: how it is shown.
            seed: of all recordings.
            index: of the recording.
            settings: its length, heights and rates.

        Raises:
            UserError: a height that cannot be encoded, or a length without room for an episode.
            UnusableDraw: nothing of use is to be seen.
        """
        if settings.duration_s < SHORTEST_S:
            raise UserError(
                f"conf/synthesize.yaml: {self.engine}.long.duration_s={settings.duration_s:g}: the "
                f"engine needs {SHORTEST_S:g} s to turn to what happens and away; set it to more"
            )
        place = self.place(seed, index, settings.duration_s)
        form = draw_format(seed, index, self._long_engine, settings.heights, settings.rates_fps)
        appearance = make(place, form)
        script = appearance.script
        frames = _damaged(appearance, place.rng("damage"))
        words = [
            *_place_words(place.plan),
            f"overlay={appearance.overlay}",
            *(
                f"{'fire' if one.script.discharges_s else 'quiet'} at {one.start_s:.1f} s"
                for one in script.episodes
            ),
            *(
                f"{incident.kind} at {one.start_s + incident.start_s:.1f} s"
                for one in script.episodes
                for incident in one.script.incidents
            ),
        ]
        return [
            self._take(
                appearance,
                frames,
                long_sound_scene(script, appearance.listeners(), len(frames) / form.fps),
                name=script.recording,
                happens=script,
                plan=place.plan,
                words=words,
            )
        ]

    @property
    def _long_engine(self) -> str:
        """By which draws of long recordings differ from those of short ones."""
        return f"{self.engine} long"

    def _source(self, picture: TakeRendering) -> str:
        return f"{self.family or picture.family}-{picture.model}"

    def _take(
        self,
        picture: TakeRendering,
        frames: NDArray[np.uint8],
        sound: SoundScene,
        *,
        name: str,
        happens: Script | LongScript,
        plan: ScenePlan,
        words: Sequence[str],
    ) -> Take:
        """What is the same of every take, short or long."""
        return Take(
            name=name,
            frames=frames,
            sound=render(sound, SOUND_HZ),
            format=picture.format,
            origin=picture.origin,
            source=self._source(picture),
            recording=happens.recording,
            discharges_s=happens.discharges_s,
            viewpoint=picture.viewpoint,
            licence="CC0-1.0",
            authority=_RENDERED if plan.backdrop is None else _PHOTOGRAPHED,
            rendered=True,
            notes=", ".join(words),
        )


def _damaged(picture: TakeRendering, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The frames of a picture, uint8 (T, H, W, 3), as damage to its file leaves them."""
    return damage.suffer(picture.frames(), picture.format.fps, rng, can_bar=picture.can_bar)


def _place_words(plan: ScenePlan) -> list[str]:
    """What the notes say of a scene."""
    place = [] if plan.backdrop is None else [f"place={plan.backdrop.place}"]
    return [f"scene={plan.kind}", *place, f"light={plan.light}"]


def _weapon(script: Script, appearance: Appearance) -> str:
    """Who carries a weapon: the wearer or player, somebody else or nobody."""
    if appearance.has_own_weapon:
        return "own"
    return "others" if any(actor.role.weapon for actor in script.actors) else "none"
