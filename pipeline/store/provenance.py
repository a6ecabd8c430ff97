"""Names the code and the libraries that made an output, so that they can be had again.

An output must have the same bytes whenever the same inputs, settings and code make it. The hash of
the source files keeps to that, and so do versions of libraries. The hash of the checked-out commit
does not: it changes with every commit, also with those that touch nothing that made the output,
and all that is made of the output would have to be made anew. What is named instead is the latest
commit that changed these source files, as it was known when the output was made. It stays the same
until the code is another, and nothing depends on it, so that no commit alone makes anything run
again.
"""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.store.workdir import PACKAGE, code_sha256

LIBRARIES = (
    *("av", "decord", "numpy", "opencv-python-headless", "pyarrow", "safetensors", "scikit-learn"),
    *("scipy", "torch", "torchvision", "transformers"),
)
"""Those that decide numbers, where they are installed."""
_GIT_TIMEOUT_S = 20.0


def facts(*places: str) -> dict[str, Any]:
    """The hash of source files, the commit that they are of, and the versions of libraries.

    Args:
        places: modules and packages, by their path inside the package; all of it without any.

    Returns:
        JSON values: `code_sha256`; `git` with `commit` and whether the files are `clean`, that is
        as committed, or None where they are in no repository; and `libraries`.
    """
    return {
        "code_sha256": code_sha256(*(places or (".",))),
        "git": _commit(places),
        "libraries": libraries(),
    }


def libraries() -> dict[str, str]:
    """Versions of those of `LIBRARIES` that are installed, by name."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _commit(places: tuple[str, ...]) -> dict[str, Any] | None:
    paths = [str(PACKAGE / place) for place in places or (".",)]
    commit = git(PACKAGE, "log", "-1", "--format=%H", "--", *paths)
    changed = git(PACKAGE, "status", "--porcelain", "--", *paths)
    # An installed package may lie in a folder of a repository that does not know it.
    return None if not commit or changed is None else {"commit": commit, "clean": not changed}


def git(folder: Path, *arguments: str) -> str | None:
    """What git prints in a folder; None without git, without a repository, or where it fails."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=_GIT_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
