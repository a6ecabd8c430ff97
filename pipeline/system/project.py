"""Finds the project that commands work on, and the files that a new project is made from."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "shipped"
CONF = "conf"
DVC = "dvc.yaml"
TEMPLATE = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
"""The folder with conf/, dvc.yaml, train.py and evaluate.py of this version of the code.

It is the repository where the code runs from there, and lies in the package where that is
installed from a wheel.
"""


def find(folder: Path) -> Path | None:
    """The nearest project from `folder` upwards: a folder with `conf/paths.yaml` and `dvc.yaml`."""
    for candidate in (folder, *folder.parents):
        if (candidate / CONF / "paths.yaml").is_file() and (candidate / DVC).is_file():
            return candidate
    return None


def check_is(folder: Path) -> None:
    """Make sure that `folder` is that of a project.

    Raises:
        UserError: it lies inside a project, or there is none.
    """
    found = find(folder)
    if found is None:
        raise UserError(
            f"{folder}: no project (conf/ and dvc.yaml) here or in a folder above; make one with "
            "discern init FOLDER, and run this in its folder"
        )
    if found != folder:
        raise UserError(f"run it in the folder of the project: cd {found}")
