"""A body camera at work: from the light that reaches it to frames with its text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.appearance.camera import LUMA, AutoExposure, SensorCamera
from pipeline.engines.render.appearance.fleet import CameraProfile
from pipeline.engines.render.appearance.overlay import CameraText, TextLayer, draw_text
from pipeline.engines.take import UnusableDraw, VideoFormat

Array = NDArray[np.float32]

_BLANK_DEVIATION = 6.0


def film(
    rng: np.random.Generator,
    profile: CameraProfile,
    layouts: tuple[int, ...],
    form: VideoFormat,
    duration_s: float,
    readout_s: float,
    first: Array,
    radiance: Callable[[float, float], Array],
) -> tuple[NDArray[np.uint8], CameraText | None]:
    """Return frames uint8 (T, H, W, 3) of one camera and the text over them, None for none.

    `radiance` gives what an exposure sees, linear, float32 (H, W, 3), by its start and length in
    seconds; its rows are read over `readout_s`. `first` is a small picture of the same kind, for
    the first exposure. The text is drawn from the maker's `layouts`.

    Raises:
        UnusableDraw: `blank`, where nothing is to be seen.
    """
    exposure = AutoExposure(profile, form.width, form.height, first)
    camera = SensorCamera(rng, profile, form.width, form.height)
    text = draw_text(rng, layouts)
    layer = None if text is None else TextLayer(text, form.width, form.height)
    frames = np.empty((form.num_frames(duration_s), form.height, form.width, 3), np.uint8)
    for number, frame in enumerate(frames):
        start_s = number / form.fps
        exposure_ms, gain = exposure.settings()
        image = camera.optics(radiance(start_s, exposure_ms / 1000))
        signal = camera.expose(image, exposure_ms, gain, start_s, readout_s)
        picture = camera.develop(signal, gain)
        exposure.observe(image, 1 / form.fps)
        if layer is not None:
            picture = layer.over(picture, start_s)
        frame[:] = (255 * picture + 0.5).astype(np.uint8)
    if float(np.einsum("tyxc,c->tyx", frames, LUMA).std(axis=(1, 2)).mean()) < _BLANK_DEVIATION:
        raise UnusableDraw("blank")
    return frames, text
