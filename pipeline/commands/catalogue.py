"""Shows what each transform does: `python -m pipeline catalogue`."""

from __future__ import annotations

import itertools
import json
import zlib
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.assess import previews
from pipeline.commands.testcard import sound_scene, spectrogram, testcard
from pipeline.config import IngestApp
from pipeline.store import manifest, video
from pipeline.store.manifest import Clip
from pipeline.store.shards import read_clip
from pipeline.store.sound import Samples
from pipeline.store.video import Frames
from pipeline.transforms.base import Transform
from pipeline.transforms.registry import FAMILIES, SOUND, STRENGTHS, TRANSFORMS
from pipeline.transforms.sound.base import SoundTransform

_NUM_CLIPS = 12
# By which most transforms show most of what they can do.
_SEED = 250
_SOUND_S = 1.6
_ABOUT = {
    "camera": "What lens, exposure and motion do: one draw a clip, smooth paths over its frames.",
    "sensor": "Noise, drawn anew for every frame.",
    "overlays": "What games, streams, recorders and publishers lay over a picture: drawn with the "
    "same chance over every origin, so that an overlay tells nothing.",
    "edits": "What people do to a video before they upload it again.",
    "sound": "Sound from the microphone to the upload, as spectrograms of a drawn scene: a click, "
    "a fading burst and a rising tone over quiet noise; 0 to 12 kHz upwards, 80 dB of level.",
}
_PAGE = Path(__file__).with_name("catalogue.html.j2")


def run(cfg: IngestApp) -> None:
    """Write `catalogue.html`, one page without outside requests, and `catalogue.jpg`.

    The page shows every transform at three strengths, on clips of the first recordings of
    `paths.clips`, grey and blurred, or else on a drawn scene; those of sound as spectrograms of a
    drawn one, since nobody's sound is shown. The picture shows a frame of each, on
    the scene always.

    Raises:
        UserError: a shard of `paths.clips` is not whole.
    """
    folder = Path(cfg.paths.work) / "catalogue"
    folder.mkdir(parents=True, exist_ok=True)
    scene = testcard(cfg.clip.num_frames, cfg.clip.size)
    clips = _first_clips(Path(cfg.paths.clips))
    page, sheet = folder / "catalogue.html", folder / "catalogue.jpg"
    page.write_text(_page(clips or [scene], "protected" if clips else "clear"))
    _sheet(scene).save(sheet, quality=66)
    print(page)
    print(sheet)


def _first_clips(folder: Path) -> list[Frames]:
    table = folder / manifest.MANIFEST
    if not table.is_file():
        return []
    firsts: dict[str, Clip] = {}
    for clip in manifest.read_rows(table, Clip):
        firsts.setdefault(clip.recording, clip)
        if len(firsts) == _NUM_CLIPS:
            break
    return [video.decode(read_clip(folder, clip)) for clip in firsts.values()]


def _transformed(transform: Transform, strength: float, frames: Frames) -> tuple[str, Frames]:
    recorded = _recorded(transform, strength)
    return recorded, transform.apply(frames, json.loads(recorded))


def _recorded(transform: Transform | SoundTransform, strength: float) -> str:
    # One seed for all strengths, so that they differ in nothing else.
    rng = np.random.default_rng([_SEED, zlib.crc32(transform.name.encode())])
    return json.dumps(transform.draw(rng, strength), sort_keys=True)


def _page(clips: list[Frames], mode: str) -> str:
    turns = itertools.cycle(clips)
    families: list[dict[str, Any]] = [
        {"name": name, "about": _ABOUT[name], "rows": [_row(t, next(turns), mode) for t in family]}
        for name, family in FAMILIES.items()
    ]
    scene = sound_scene(_SOUND_S)
    rows = [_sound_row(transform, scene) for transform in SOUND]
    families.append({"name": "sound", "about": _ABOUT["sound"], "rows": rows})
    about = "On a drawn scene." if mode == "clear" else "On clips, grey and blurred."
    template = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(_PAGE.read_text())
    return template.render(families=families, about=about)


def _row(transform: Transform, frames: Frames, mode: str) -> dict[str, Any]:
    cells = []
    for strength, value in STRENGTHS.items():
        parameters, changed = _transformed(transform, value, frames)
        # A rim, or the frames of a strip run into one another.
        rimmed = np.pad(changed, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=255)
        strip = previews.strip(rimmed, mode)
        cells.append(
            {"strength": strength, "value": value, "parameters": parameters, "strip": strip}
        )
    return {"name": transform.name, "cells": cells}


def _sound_row(transform: SoundTransform, samples: Samples) -> dict[str, Any]:
    cells = []
    for strength, value in STRENGTHS.items():
        recorded = _recorded(transform, value)
        image = spectrogram(transform.apply(samples, json.loads(recorded)))
        cells.append(
            {
                "strength": strength,
                "value": value,
                "parameters": recorded,
                "strip": previews.data_uri(image),
            }
        )
    return {"name": transform.name, "cells": cells}


def _sheet(scene: Frames) -> Image.Image:
    """Every transform with its name, mild, medium and severe: one frame of each."""
    columns, side, gap, label = 4, 104, 6, 18
    moment = 3 * len(scene) // 4
    wide, tall = len(STRENGTHS) * (side + 2) + gap, side + label + gap
    rows = -(-len(TRANSFORMS) // columns)
    sheet = Image.new("RGB", (columns * wide + gap, rows * tall + gap), (250, 250, 250))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, transform in enumerate(TRANSFORMS.values()):
        x, y = gap + number % columns * wide, gap + number // columns * tall
        draw.text((x, y), transform.name.replace("_", " "), (30, 30, 30), font)
        for index, strength in enumerate(STRENGTHS.values()):
            picture = Image.fromarray(_transformed(transform, strength, scene)[1][moment])
            picture = picture.resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(picture, (x + index * (side + 2), y + label))
    return sheet
