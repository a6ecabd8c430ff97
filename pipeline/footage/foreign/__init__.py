"""Video from outside: probe, demux and decode with PyAV, trusting nothing that a file says.

Only listed containers are opened, so none that follows names to other files or to the network.
Times are seconds of a player's clock. Damage does not end a file: its pictures are marked until
the next key frame. Everything runs in one thread, in which FFmpeg's log tells of each packet.
"""

from pipeline.footage.foreign.picture import ScreenFrame
from pipeline.footage.foreign.reader import Video
from pipeline.footage.foreign.refusals import Budget, DecodeError, DecodingLimits, refusing

__all__ = ["Budget", "DecodeError", "DecodingLimits", "ScreenFrame", "Video", "refusing"]
