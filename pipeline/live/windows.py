"""The pictures of a stream to windows while they come, the same that ingest makes of a whole file.

They are divided as those of files that are scored: nothing that a player shows is left out, and no
window straddles a cut. The end of a scene is shown together with what came before it, and a scene
that is shorter than a clip has its last picture held.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pipeline.config import ClipFormat
from pipeline.footage import foreign, scenes
from pipeline.footage.windows import Window, WindowMaker, sample_pictures


@dataclass(frozen=True)
class StreamWindow:
    """One window, or what stands for pictures that became none.

    Attributes:
        start_frame: of its first picture, on the grid of times 1/fps.
        window: None where it shows nothing.
        reason: why it shows nothing, "black" or "still"; else empty.
        begins: why its first picture does not go on from the one before: "gap", "size" or "clock";
            empty where it does, cuts included.
    """

    start_frame: int
    window: Window | None
    reason: str
    begins: str


def divided(
    source: foreign.Video,
    clip: ClipFormat,
    see: Callable[[foreign.ScreenFrame], None] | None = None,
) -> Iterator[StreamWindow]:
    """Yield the windows of a video while it is read; about two clips of pictures are held.

    Args:
        source: of the pictures.
        clip: the format of the windows.
        see: is shown each picture.

    Raises:
        foreign.DecodeError: it gives no pictures, or they cannot be shown.
    """
    budget = foreign.Budget(math.inf)
    maker = WindowMaker(source.aspect, clip, budget, as_shown=True)
    held: list[foreign.ScreenFrame] = []
    last: deque[foreign.ScreenFrame] = deque(maxlen=clip.num_frames)
    begins = ""

    def made(shown: list[foreign.ScreenFrame], marks: set[str]) -> StreamWindow:
        nonlocal begins
        result, why, begins = maker.make(shown, marks), begins, ""
        if not isinstance(result, Window):
            return StreamWindow(shown[0].index, None, result, why)
        # What came so late that the window is gone by then cannot be told.
        if source.is_damaged(shown[0].number, shown[-1].number):
            result = replace(result, marks=tuple(sorted({*result.marks, "damaged"})))
        return StreamWindow(shown[0].index, result, "", why)

    def rest() -> Iterator[StreamWindow]:
        if held:
            shown = list(last)
            num_missing = clip.num_frames - len(shown)
            yield made([*shown, *[shown[-1]] * num_missing], {"short"} if num_missing else set())
        held.clear()
        last.clear()

    for (picture, why), kind in scenes.divide(_samples(source, clip.fps, see)):
        if kind:
            yield from rest()
        begins = why or begins
        held.append(picture)
        last.append(picture)
        if len(held) == clip.num_frames:
            yield made(held, set())
            held.clear()
    yield from rest()


def _samples(
    source: foreign.Video, fps: float, see: Callable[[foreign.ScreenFrame], None] | None
) -> Iterator[scenes.SampledFrame]:
    """Pictures, each with why it does not go on from the one before."""
    last: foreign.ScreenFrame | None = None
    num_zeros = 1
    try:
        with foreign.refusing():
            for sample in sample_pictures(source.pictures(fps)):
                picture, why = sample.item, ""
                if see is not None:
                    see(picture)
                if picture.after_break and last is not None:
                    why = "gap" if picture.index > last.index + 1 else "size"
                    if len(source.zeros_s) > num_zeros:
                        why, num_zeros = "clock", len(source.zeros_s)
                last = picture
                yield replace(sample, item=(picture, why))
    except foreign.DecodeError as error:
        # What was shown until then was shown.
        if not (last and error.reason == "decode_error"):
            raise
