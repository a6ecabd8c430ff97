"""The pictures of a stream while they come: what its decoder fails at, and when its sound comes.

A stream may go on in another codec, of which nothing tells the decoder. It fails at most packets
then, or makes nothing of them, and what it still shows is noise.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.footage import foreign
from pipeline.footage.foreign.refusals import hostile_errors
from pipeline.live.skew import Skew

_WINDOW_S = 2.0
_USUAL_FPS, _MOST_FPS = 25.0, 60.0
_FEWEST = 20
# Of fields, and of packets that hold no picture, a stream that is whole has fewer.
_MOST_SHARE = 0.8


class Undecodable(Exception):
    """Most packets of the last two seconds gave no picture.

    No `foreign.DecodeError`, after which a file counts as shown to its end.
    """


class Pictures(foreign.Video):
    """Pictures of a stream, or of a file.

    Attributes:
        skew: of its sound.
    """

    def __init__(
        self, path: Path, limits: foreign.DecodingLimits, faults: Counter[str], *, is_live: bool
    ) -> None:
        """Open a file whose pictures are wanted.

        Args:
            path: of the bytes.
            limits: of a picture, and of the length.
            faults: counts errors of the decoder by their code, the name that PyAV has for it.
            is_live: whether it is given up once most packets give no picture.

        Raises:
            DecodeError: as `foreign.Video` does.
        """
        self.skew = Skew()
        self._faults = faults
        self._is_live, self._has_begun = is_live, False
        super().__init__(path, limits)
        num = round(_WINDOW_S * min(self.fps or _USUAL_FPS, _MOST_FPS))
        self._fruitless: deque[bool] = deque(maxlen=max(_FEWEST, num))

    def _packets(self) -> Iterator[Any]:
        for packet in super()._packets():
            if packet.dts is not None and self._last_other_s:
                self.skew.push(float(packet.dts * packet.time_base), self._last_other_s)
            yield packet

    def _decode(self, packet: Any) -> list[Any]:
        frames = super()._decode(_Listened(packet, self._faults))
        # Before its first key frame nothing of a stream can be shown.
        self._has_begun |= bool(frames)
        if self._is_live and self._has_begun and packet.size:
            window = self._fruitless
            window.append(not frames)
            if len(window) == window.maxlen and sum(window) > _MOST_SHARE * len(window):
                raise Undecodable(f"{sum(window)} of {len(window)} packets gave no picture")
        return frames


class _Listened:
    """A packet whose errors are counted."""

    def __init__(self, packet: Any, faults: Counter[str]) -> None:
        self._packet, self._faults = packet, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._packet, name)

    def decode(self) -> list[Any]:
        try:
            return self._packet.decode()
        except hostile_errors() as error:
            self._faults[type(error).__name__] += 1
            raise
