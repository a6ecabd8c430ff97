"""Fetches the model of another revision of the project."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import UserError


@contextmanager
def models(wanted: str, own: Path, work: Path) -> Iterator[Path]:
    """Yield a folder with the weights of `wanted`.

    Args:
        wanted: a folder, or a revision of git such as `HEAD~1` or the name of an experiment,
            whose weights are in the cache or on a remote of DVC.
        own: where a revision keeps its weights, relative to the project.
        work: holds what is fetched, until the end.

    Raises:
        UserError: neither a folder nor a revision, or its weights are not at hand.
    """
    if Path(wanted).is_dir():
        yield Path(wanted)
        return
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError
    from dvc_data.index import DataIndexDirError

    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="models-") as name:
        folder = Path(name) / "models"
        try:
            DVCFileSystem(".", rev=wanted).get(own.as_posix(), str(folder), recursive=True)
        except (DvcException, SCMError, DataIndexDirError, OSError) as error:
            raise UserError(
                f"against={wanted}: neither a folder with weights nor a revision whose "
                f"{own} can be had ({error}); name a folder, or run dvc pull for the revision"
            ) from error
        yield folder
