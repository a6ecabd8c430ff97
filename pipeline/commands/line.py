"""The command line: the stages and commands that it may name, and what each of them is told."""

from __future__ import annotations

import os
import select
import signal
import sys
import textwrap
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pipeline
from pipeline import app, usage
from pipeline.commands import experiment, init
from pipeline.config import STAGES
from pipeline.store import workdir
from pipeline.system import project

RECIPES = ("train", "evaluate")
"""Stages that are a script of their own beside `pipeline/`, and no module of `pipeline.stages`."""


@dataclass(frozen=True)
class Command:
    """A command that is no stage."""

    told: tuple[str, ...] = ()
    """What it is told first; what stands in brackets may be left out or repeated."""
    config: str = "ingest"
    """The stage or command whose keys it takes."""
    reads: tuple[str, ...] | None = None
    """Those of them, and of the sections beside them, that it reads; None for all."""
    writes: str | None = None
    """What only one process at a time may write."""
    kept: str = "nothing was changed; run it again, which starts anew"
    """What remains after it was told to stop, and how to continue."""
    failure: int = 1
    """Exit status of every failure; another one than 1 where 1 is an answer."""

    @property
    def num_needed(self) -> int:
        """Arguments that cannot be left out."""
        return sum(not what.startswith("[") for what in self.told)


COMMANDS = {
    "explain": Command(("<file or clip id>",), reads=("sound", "paths")),
    "forget": Command(
        ("<collection>/<recording>",),
        reads=("collections", "paths"),
        writes="footage/forgotten.csv",
    ),
    "clean": Command(reads=("paths",)),
    "catalogue": Command(reads=("clip", "paths"), writes="the catalogue"),
    "verify": Command(("[root]",), reads=("collections", "paths")),
    "adapt": Command(("<collection>",), config="adapt", writes="the adapted weights"),
    "compare": Command(("[revision …]",), config="compare"),
    "export": Command(config="export", writes="the export"),
    "join": Command(
        ("<folder>", "<folder>", "[folder …]"), config="join", writes="the joined weights"
    ),
    "bank": Command(
        (
            "add|list|show|remove|label|verdict|compact|resume|export|import",
            "[name]",
            "[file, folder, item …]",
        ),
        config="bank",
        kept="items that were added stay; run it again, which adds the others",
    ),
    "exchange": Command(
        ("add|list|show|remove|pull|push", "[name …]", "[bank]"),
        config="exchange",
        writes="exchanges with peers",
        kept="every bank is as before or has all that was new; run it again",
    ),
    "match": Command(
        ("<file, folder or URL>", "[file, folder or URL …]"), config="match", failure=2
    ),
    "review": Command(
        (
            "queue|list|export|import|report|serve|export-collection|propose|times",
            "[scores, alerts, file, folder or collection]",
        ),
        config="review",
        kept="what was decided stays; run it again",
    ),
    "score": Command(
        ("<listing, file or folder>", "[file or folder …]"),
        config="score",
        kept="with out=, scored rows are kept; run it again, which goes on from them",
    ),
    "watch": Command(
        ("<address, file or list.csv>",),
        config="watch",
        kept="no more is watched; run it again, which starts anew",
    ),
    "find-lr": Command(config="train", writes="the plot of find-lr"),
    "overfit": Command(config="train"),
}
_INIT, _EXPERIMENT = "init", "experiment"
_ALONE = {_INIT: ("<folder>",), _EXPERIMENT: ("<name>", "[option of dvc exp run …]")}
"""What is told the commands that take no keys."""
_HELP = """
All but init run in the folder of a project, which is one with conf/ and dvc.yaml. Its conf/ holds
every key with its value; key=value sets one for this run. {program} NAME --help tells what a stage
or command takes, {program} STAGE --cfg job the values that a stage would run with, and dvc repro
runs all stages that have something new to do. {program} --version tells the version.
"""
_ALL = (_INIT, *STAGES, *COMMANDS, _EXPERIMENT)
_WIDTH = 100


def main(arguments: Sequence[str]) -> None:
    """Run the stage or command that the first argument names."""
    name, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if name in _ALL and not usage.HELP.isdisjoint(rest):
        print(_help(name))
    elif name in RECIPES:
        _recipe(name).main(rest)
    elif name in STAGES:
        app.stage(name)(import_module(f"pipeline.stages.{name}").run)(rest)
    elif name == _INIT and len(rest) == 1:
        work = partial(init.run, Path(rest[0]))
        app.run(name, work, kept="run it again", needs_project=False)
    elif name == _EXPERIMENT and rest:
        app.run(name, partial(experiment.run, rest[0], rest[1:]), kept="run it again")
    elif name in COMMANDS:
        _run(name, rest)
    elif name in ("-h", "--help"):
        print("\n".join(_overview()))
    elif name == "--version":
        print(f"discern {pipeline.__version__}")
    elif name in _ALONE:
        told = " ".join([_program(), name, *_ALONE[name]])
        sys.exit(f"{name}: is told too {'much' if rest else 'little'}; usage: {told}")
    else:
        sys.exit(f"{f'{name}: there is no such command; ' if name else ''}usage: {_usage()}")


def _program() -> str:
    """Return what starts this command line."""
    is_module = Path(sys.argv[0]).name == "__main__.py"
    return "python -m pipeline" if is_module else "discern"


def _help(name: str) -> str:
    told, config, reads = _ALONE.get(name, ()), name if name in STAGES else None, None
    if name in COMMANDS:
        command = COMMANDS[name]
        told, config, reads = command.told, command.config, command.reads
    return usage.text(_program(), name, told, config, app.CONF, app.compose, reads)


def _overview() -> Iterator[str]:
    """Yield what each stage and command does, a sentence each."""
    program = _program()
    yield f"usage: {program} NAME [what it is told …] [key=value …]"
    own = {
        "Stages, in the order of the data:": STAGES,
        "Commands:": (_INIT, *COMMANDS, _EXPERIMENT),
    }
    indent = 2 + max(map(len, _ALL)) + 2
    for heading, names in own.items():
        yield from ("", heading)
        for name in names:
            first = f"  {name}".ljust(indent)
            yield from textwrap.wrap(
                usage.sentence(name), _WIDTH, initial_indent=first, subsequent_indent=" " * indent
            )
    yield _HELP.format(program=program).rstrip()


def _usage() -> str:
    program = _program()
    lines = [
        " ".join([program, _INIT, *_ALONE[_INIT]]),
        f"{program} {{{','.join(STAGES)}}} [key=value …]",
        *(
            " ".join([program, name, *command.told, "[key=value …]"])
            for name, command in COMMANDS.items()
        ),
        " ".join([program, _EXPERIMENT, *_ALONE[_EXPERIMENT]]),
        f"{program} --version",
    ]
    return "\n       ".join(lines)


def _recipe(name: str) -> ModuleType:
    """`train.py` or `evaluate.py` as a module, from wherever this version of the code has it."""
    spec = spec_from_file_location(name, project.TEMPLATE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    # Dataclasses look up the module that they stand in.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _run(name: str, arguments: list[str]) -> None:
    command = COMMANDS[name]
    subjects, overrides = arguments[: command.num_needed], arguments[command.num_needed :]
    if command.num_needed < len(command.told):
        subjects = [argument for argument in arguments if not _is_key(argument)]
        overrides = [argument for argument in arguments if _is_key(argument)]
    if len(subjects) < command.num_needed:
        with _failing(command.failure):
            told = " ".join([_program(), name, *command.told, "[key=value …]"])
            more = f"{_program()} {name} --help tells all keys"
            sys.exit(f"{name}: is told too little; usage: {told}; {more}")

    def work() -> None:
        cfg = app.compose(command.config, *overrides)
        module = import_module(f"pipeline.commands.{name.replace('-', '_')}")
        if command.writes is None:
            module.run(*subjects, cfg=cfg)
            return
        with workdir.claimed(command.writes, Path(cfg.paths.work)):
            module.run(*subjects, cfg=cfg)

    with _failing(command.failure), _read_by_somebody():
        app.run(name, work, kept=command.kept)


@contextmanager
def _read_by_somebody() -> Iterator[None]:
    """End as a shell ends a command whose output goes to `head`, which has read enough."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        poll = select.poll()
        poll.register(sys.stdout, 0)
        if not any(event & select.POLLERR for _, event in poll.poll(0)):
            raise
        # What is left to print goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def _is_key(argument: str) -> bool:
    """Give whether an argument is `key=value`; `./a=b.mp4` is a file, since no key has a slash."""
    return "=" in argument.partition("/")[0]


@contextmanager
def _failing(status: int) -> Iterator[None]:
    """Give failures in the block an exit status that is none of the command's answers."""
    try:
        yield
    except SystemExit as error:
        if status == 1 or not isinstance(error.code, str):
            raise
        print(error.code, file=sys.stderr)
        sys.exit(status)
    except Exception as error:
        if status == 1:
            raise
        traceback.print_exception(error)
        sys.exit(status)
