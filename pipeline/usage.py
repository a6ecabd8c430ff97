"""Tells what `discern --help` and `discern <stage or command> --help` say of each."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Callable, Sequence, Set
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path

from omegaconf import MISSING

from pipeline.config import COMMANDS, STAGES, App
from pipeline.system import project

HELP = frozenset({"-h", "--help"})
PAGES = {
    "adapt": "adapt",
    "bank": "copies",
    "catalogue": "extending",
    "augment": "rendered",
    "compare": "training",
    "embed": "encoders",
    "evaluate": "evaluation",
    "exchange": "exchange",
    "explain": "footage",
    "find-lr": "training",
    "forget": "footage",
    "ingest": "footage",
    "join": "training",
    "match": "copies",
    "overfit": "training",
    "probe": "rendered",
    "review": "review",
    "score": "scoring",
    "split": "footage",
    "synthesize": "rendered",
    "train": "training",
    "verify": "evaluation",
    "watch": "live",
}
"""The page of `docs/` that tells of a stage or command."""
OTHER_PAGE = "operations"
"""The page that tells of all other stages and commands."""
_WIDTH = 100


def text(
    program: str,
    name: str,
    told: Sequence[str],
    config: str | None,
    conf: Path,
    compose: Callable[[str], App],
    reads: Sequence[str] | None = None,
) -> str:
    """The help of a stage or command.

    Args:
        program: what starts the command line.
        name: of it.
        told: what it is told first.
        config: whose keys it takes; None where it takes none.
        conf: folder of the configuration.
        compose: makes the configuration of a command.
        reads: sections and keys that it reads of the stage `config`; None for all.

    Raises:
        UserError: a value in `conf/` is missing or impossible.
    """
    keys = ["[key=value …]"] if config else []
    lines = [f"usage: {' '.join([program, name, *told, *keys])}", "", sentence(name)]
    lines.append(f"docs/{PAGES.get(name, OTHER_PAGE)}.md of the repository tells more.")
    return "\n".join([*lines, *(_keys(config, conf, compose, reads) if config else [])])


def sentence(name: str) -> str:
    """Return what the module of a stage or command says of itself."""
    # To import it would take time.
    said = ast.get_docstring(ast.parse(_source(name).read_text(encoding="utf-8"))) or ""
    return said.split("\n\n")[0].replace("\n", " ").partition(": `")[0].rstrip(".") + "."


def _source(name: str) -> Path:
    script = project.TEMPLATE / f"{name}.py"
    if script.is_file():
        return script
    room = "stages" if name in STAGES else "commands"
    spec = find_spec(f"pipeline.{room}.{name.replace('-', '_')}")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin)


def _keys(
    config: str, conf: Path, compose: Callable[[str], App], reads: Sequence[str] | None
) -> list[str]:
    if config in COMMANDS:
        heading = "Keys, with the values that they have here:"
        return ["", heading, *_told(COMMANDS[config], compose(config), frozenset())]
    written = (conf / f"{config}.yaml").read_text(encoding="utf-8").splitlines()
    own = [f"  {line}".rstrip() for line in written if reads is None]
    kind = STAGES[config]
    assert kind.own is not None
    passed = {key.name for key in fields(kind.own)}
    if reads is not None:
        own = [f"  {line}".rstrip() for key in reads for line in _block(written, key)]
        passed |= {key.name for key in fields(kind)} - set(reads)
    heading = f"Keys, with the values of conf/{config}.yaml:" if own else "Keys:"
    # A class holds its defaults, so that values in conf/ that are wrong keep no help away.
    return ["", heading, *own, *_told(kind, kind, passed)]


def _block(written: Sequence[str], key: str) -> Sequence[str]:
    """Return the lines of a key in a file of `conf/`, with the comment above and what is below."""
    begin = next((at for at, one in enumerate(written) if one.startswith(f"{key}:")), len(written))
    end = begin + 1
    while begin and written[begin - 1].startswith("#"):
        begin -= 1
    while end < len(written) and written[end].startswith(" "):
        end += 1
    return written[begin:end]


def _told(kind: type[App], values: object, passed: Set[str]) -> list[str]:
    """Return what is told of the keys of a class but for those that are passed over."""
    meanings = _meanings(kind)
    lines: list[str] = []
    sections: list[str] = []
    for key in fields(kind):
        if key.name in passed:
            continue
        value = getattr(values, key.name)
        if is_dataclass(value) or value == MISSING:
            sections.append(f"{key.name}.…")
            continue
        lines.append(f"  {key.name}={_written(value)}")
        choices = key.metadata.get("one_of", ())
        told = [meanings.get(key.name, ""), f"One of {', '.join(choices)}." * bool(choices)]
        lines += textwrap.wrap(
            " ".join(told), _WIDTH, initial_indent="      ", subsequent_indent="      "
        )
    return [*lines, f"  {', '.join(sections)}", "      as the files of conf/ have them"]


def _written(value: object) -> str:
    """A value as `key=value` takes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _meanings(kind: type[App]) -> dict[str, str]:
    """Return what stands below each key in the source of its class."""
    found: dict[str, str] = {}
    for one in kind.__mro__:
        if not is_dataclass(one):
            continue
        (written,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(written, ast.ClassDef)
        for key, below in zip(written.body, written.body[1:], strict=False):
            is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name) and is_text:
                assert isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                found.setdefault(key.target.id, " ".join(str(below.value.value).split()))
    return found
