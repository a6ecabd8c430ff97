"""Kinds of event that sound, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pipeline.engines.acoustics.scene import SoundEvent
from pipeline.engines.acoustics.sources import blasts, firearms, impacts, voice
from pipeline.engines.acoustics.sources.emission import Emission

Emitter = Callable[[np.random.Generator, SoundEvent, float], list[Emission]]
"""Draws the emissions of an event, heard from a distance in metres."""

DISCHARGE = "discharge"
BLANK = "blank"
KINDS: Mapping[str, Emitter] = {
    DISCHARGE: firearms.discharge,
    BLANK: firearms.blank,
    "dry_fire": firearms.dry_fire,
    "rack": firearms.rack,
    "magazine": firearms.magazine,
    "ricochet": impacts.ricochet,
    "firecracker": blasts.firecracker,
    "firecrackers": blasts.firecrackers,
    "rocket": blasts.rocket,
    "fountain": blasts.fountain,
    "balloon": blasts.balloon,
    "burst_bag": blasts.burst_bag,
    "backfire": blasts.backfire,
    "engine": blasts.engine,
    "whip": blasts.whip,
    "nail_gun": blasts.nail_gun,
    "thunder": blasts.thunder,
    "door": impacts.door,
    "clap": impacts.clap,
    "applause": impacts.applause,
    "hammer": impacts.hammer,
    "book": impacts.book,
    "glass": impacts.glass,
    "plastic_bag": impacts.plastic_bag,
    "keys": impacts.keys,
    "speech": voice.speech,
    "shout": voice.shout,
}
FIREWORKS = ("firecrackers", "rocket", "fountain")
"""Kinds that are fireworks: blasts in the open, many of them."""
