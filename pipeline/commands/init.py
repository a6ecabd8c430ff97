"""Makes the folder of a new project: `discern init <folder>`."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import UserError
from pipeline.system import project

VERSION = "discern.version"
"""The file with the installed version, on which every stage of a new project depends."""
_CODE = re.compile(r"pipeline/.+|\w+\.py")
_COMMAND = re.compile(r"python (?:-m pipeline )?(\w+)(?:\.py)?")
_HEADER = f"""# Written by discern init. Paths come from conf/paths.yaml, and settings from conf/. A
# stage runs again where its settings, its inputs or the version of Discern ({VERSION}) changed.
"""
# What is written beside the outputs that DVC keeps out of git itself, by the names in the docs.
_UNTRACKED = ("wandb", "dvc_plots", "encoders", "scores", "models-*", "reports-*")
# Keys that exports of banks are signed with, alerts, and sheets of tasks, which name people.
_FILES = "*.pem\n*.sqlite\n/tasks.*\n"
_SPLIT = f"{project.CONF}/split.yaml"
_HELD_OUT = re.compile(r"^unseen_sources:\n((?:  - .+\n)+)", re.MULTILINE)
_PAGE = "docs/footage.md"
_SECTION = "## The index\n"
_README = """# {name}

A project of Discern, which learns to tell real shootings from fictional ones.

1. `git init && dvc init`, once.
2. Put collections under `{footage}/`, one folder each with an `index.csv`: `{footage}/README.md`.
3. `dvc repro` makes everything that is not up to date; open `reports/report.html`.
   Once all is committed, `discern experiment own` does so with your footage alone.

`conf/` holds every setting; `conf/synthesize.yaml` says how much footage is rendered beside yours,
and `unseen_sources` of `conf/split.yaml` which sources are held out: none, until you name some.
`discern --help` lists the commands, which all run in this folder.
"""


def run(folder: Path) -> None:
    """Write the files of a new project into a folder, which is made where there is none.

    Raises:
        UserError: a file of these is there already; nothing is written then.
    """
    footage, deployment = (str(_paths()[name]) for name in ("footage", "deployment"))
    texts = {
        project.DVC: stages(yaml.safe_load((project.TEMPLATE / project.DVC).read_text())),
        ".gitignore": _ignored(),
        "README.md": _README.format(name=folder.resolve().name, footage=footage),
        f"{footage}/README.md": _about_footage(footage),
        # Without the folder, no stage that depends on it runs.
        f"{deployment}/README.md": (project.TEMPLATE / deployment / "README.md").read_text(),
    }
    for name in (project.CONF, *texts):
        if (folder / name).exists():
            raise UserError(f"{folder / name}: is there already; name a folder without it")
    shutil.copytree(project.TEMPLATE / project.CONF, folder / project.CONF)
    (folder / _SPLIT).write_text(_holding_out_none((project.TEMPLATE / _SPLIT).read_text()))
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    print(f"{folder}: a new project\nNext:")
    if folder.resolve() != Path.cwd():
        print(f"  cd {folder}")
    if shutil.which("git") is None:
        print("  install git, for example: apt-get install git")
    print("  git init && dvc init\n  dvc repro, once there is a collection under footage/")


def stages(repository: Mapping[str, Any]) -> str:
    """The dvc.yaml of a new project, from the content of that of the repository.

    The commands are those of the installed package, and its version stands for the files of code.
    """
    told = {
        "cmd": f"discern --version > {VERSION}",
        # A new version is found by asking for it only.
        "always_changed": True,
        "outs": [{VERSION: {"cache": False}}],
    }
    new = {"version": told} | {
        name: stage
        | {
            "cmd": _COMMAND.sub(r"discern \1", stage["cmd"]),
            "deps": [VERSION, *(dep for dep in stage["deps"] if not _CODE.fullmatch(dep))],
        }
        for name, stage in repository["stages"].items()
    }
    return _HEADER + yaml.safe_dump(
        {**repository, "stages": new}, sort_keys=False, allow_unicode=True, width=100
    )


def _holding_out_none(split: str) -> str:
    """`conf/split.yaml` without the sources that the repository holds out.

    A project may have none of them, since it may leave out the engine that makes them.
    """

    def emptied(found: re.Match[str]) -> str:
        names = textwrap.wrap(", ".join(yaml.safe_load(found[1])), 96)
        told = ["Of those that engines make, Discern's own results hold out", *names]
        return "".join(f"# {line}\n" for line in told) + "unseen_sources: []\n"

    return _HELD_OUT.sub(emptied, split)


def _about_footage(footage: str) -> str:
    """Say where collections go, and which columns an index has, as the page on footage tells it."""
    page = (project.TEMPLATE / _PAGE).read_text(encoding="utf-8")
    start = page.index(_SECTION)
    section = page[start : page.index("\n## ", start)]
    return f"{(project.TEMPLATE / footage / 'README.md').read_text()}\n{section}"


def _paths() -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load(
        (project.TEMPLATE / project.CONF / "paths.yaml").read_text()
    )
    return found


def _ignored() -> str:
    """Return what git should not see, beside what DVC tells it: outputs that DVC does not track.

    Banks and collections are none. `dvc add` puts a file beside each, which git has to see, and
    hides the folder; where git was told to hide it before, `dvc checkout` takes it away.
    """
    tracked = (project.TEMPLATE / project.DVC).read_text()
    folders = [
        path for key, path in _paths().items() if key != "banks" and f"${{{key}}}" not in tracked
    ]
    return "".join(f"/{folder}/\n" for folder in [*folders, *_UNTRACKED]) + _FILES
