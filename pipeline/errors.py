"""The one exception for what a user can mend, and how a file that cannot be read becomes one."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)


class UserError(ValueError):
    """Something the user got wrong: the message names the file, the value and the remedy."""


@contextmanager
def reading(path: Path | str, stage: str, damage: str = "not readable") -> Iterator[None]:
    """Turn what goes wrong while an output of a stage is read into a `UserError`.

    Args:
        path: of the file.
        stage: that writes it.
        damage: what a file is that is there and holds something else.

    Raises:
        UserError: the file is missing, or what is read from it is not what it should be.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; run dvc repro {stage} or dvc pull") from error
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError) as error:
        # What is fetched first may find the disk full, which is no fault of the file.
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        raise UserError(f"{path}: {damage} ({error!r}); run dvc repro {stage}") from error
