"""The library that makes the game's sound, OpenAL Soft: where it is, and how it is set.

Without it the game plays on and hands over zeros, without an error.
"""

from __future__ import annotations

import ctypes
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import UserError

_LIBRARY = "libopenal.so.1"
# Processors have different extensions; heads, devices and files of the user's have no say either.
_SETTINGS = """\
disable-cpu-exts = all
hrtf = false
stereo-mode = speakers
"""


def packaged() -> Path | None:
    """The library in the Python package `cyal`, of one version on all machines; None without it."""
    spec = find_spec("cyal")
    if spec is None or spec.origin is None:
        return None
    library = Path(spec.origin).with_name(_LIBRARY)
    return library if library.exists() else None


def environment(folder: Path) -> dict[str, str]:
    """What the game's process is told, so that it finds the library; settings go to `folder`.

    Raises:
        UserError: it is nowhere.
    """
    library = packaged()
    if library is None:
        try:
            ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise UserError(
                f"vizdoom: {_LIBRARY} is not there ({error}), without which the game is silent; "
                "run: pip install cyal==0.4.5, or install OpenAL (libopenal1 on Debian and "
                "Ubuntu), or set num_recordings of vizdoom and vizdoom.long to 0 in "
                "conf/synthesize.yaml"
            ) from error
    settings = folder / "alsoft.conf"
    settings.write_text(_SETTINGS)
    found = {} if library is None else {"LD_LIBRARY_PATH": str(library.parent)}
    return {"ALSOFT_CONF": str(settings), **found}
