"""Turns a function of a stage's config into a Hydra application; the only module with Hydra."""

from __future__ import annotations

import difflib
import logging
import re
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import field, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints, overload

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException
from yaml.reader import Reader, ReaderError

from pipeline import usage
from pipeline.config import (
    COMMANDS,
    STAGES,
    App,
    AugmentApp,
    EmbedApp,
    EvaluateApp,
    IngestApp,
    PackApp,
    ProbeApp,
    SplitApp,
    SynthesizeApp,
    TrainApp,
)
from pipeline.config.reading import to_dataclass
from pipeline.errors import UserError
from pipeline.store import storage, workdir
from pipeline.system import disk, entry, interrupts, project

PROJECT = project.find(Path.cwd()) or project.TEMPLATE
"""The project around the working folder; outside of one, what a new project is made from."""
CONF = PROJECT / project.CONF
_APPS = STAGES | COMMANDS
_ANEW = "earlier outputs are as they were; run it again, which starts anew"
_ON = "earlier outputs are as they were, and {} are kept; run it again, which goes on from them"
KEPT = {
    "synthesize": _ON.format("finished recordings"),
    "ingest": _ON.format("finished files"),
    "split": _ANEW,
    "augment": _ON.format("finished variants"),
    "pack": _ON.format("finished shards"),
    "embed": _ON.format("finished blocks"),
    "probe": _ANEW,
    "train": _ANEW,
    "evaluate": _ANEW,
}
"""For each stage, what remains after it was told to stop, and how to continue."""
_MULTIRUN = (
    "'{override}' asks for several runs, which would write into one folder; queue them: "
    "dvc exp run --queue -S 'conf/train.yaml:seed=1,2', then dvc queue start"
)
# Options of Hydra that print something and run nothing.
_SHOWING = {"--hydra-help", "--version", "--cfg", "-c", "--info", "-i"}
_HAS_A_MEANING = re.compile(r"[][{}()'\",\\$]")
# What OmegaConf says, and what helps.
_REMEDIES = {
    "converted to Float": "a number",
    "converted to Integer": "a whole number",
    "not a valid bool": "true or false",
}
_IN_FILE = re.compile(r"In '(\w+)': ")
_ABSENT = re.compile(r"Could not load '(\w+)'")
_LOGGED, _TIME = "%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"
_folders: list[str] = []
"""Where files are written to, as the configuration says that was composed last."""
# Less alike is no slip of the hand.
_ALIKE = 0.7
# An address may hold secrets from here on, and equals signs, which Hydra takes for none of a value.
_OF_ADDRESS = re.compile(r"://.*", re.DOTALL)
# Revisions of git such as HEAD~1 and main^, which are no values in Hydra's grammar.
_REVISION = re.compile(r"([\w.]+)=([\w./@-]*[~^][\w./@~^-]*)")


def _register(name: str) -> None:
    """Compose `conf/<name>.yaml` at the root; other files, such as paths.yaml, under their name."""
    kind = _APPS[name]
    own = {f.name for f in fields(kind.own)} if kind.own else set()
    beside = [
        f.name for f in fields(kind) if f.name not in own and (CONF / f"{f.name}.yaml").is_file()
    ]
    defaults: list[Any] = [
        "_self_",
        *([name] if name in STAGES else []),
        *(f"{other}@{other}" for other in beside),
        {"override hydra/job_logging": "none"},
        {"override hydra/hydra_logging": "none"},
    ]
    hydra_leaves_no_files = {"run": {"dir": "."}, "output_subdir": None}
    root = make_dataclass(
        kind.__name__,
        [
            ("defaults", list[Any], field(default_factory=lambda: defaults)),
            ("hydra", Any, field(default_factory=lambda: hydra_leaves_no_files)),
        ],
        bases=(kind,),
    )
    ConfigStore.instance().store(name=f"{name}_app", node=root)


for _name in _APPS:
    _register(_name)


@overload
def compose(name: Literal["synthesize"], *overrides: str) -> SynthesizeApp: ...
@overload
def compose(name: Literal["ingest"], *overrides: str) -> IngestApp: ...
@overload
def compose(name: Literal["split"], *overrides: str) -> SplitApp: ...
@overload
def compose(name: Literal["augment"], *overrides: str) -> AugmentApp: ...
@overload
def compose(name: Literal["pack"], *overrides: str) -> PackApp: ...
@overload
def compose(name: Literal["embed"], *overrides: str) -> EmbedApp: ...
@overload
def compose(name: Literal["probe"], *overrides: str) -> ProbeApp: ...
@overload
def compose(name: Literal["train"], *overrides: str) -> TrainApp: ...
@overload
def compose(name: Literal["evaluate"], *overrides: str) -> EvaluateApp: ...
@overload
def compose(name: str, *overrides: str) -> App: ...
def compose(name: str, *overrides: str) -> App:
    """The config of a stage or command with `overrides` such as `"seed=3"`, as plain dataclasses.

    Raises:
        UserError: an override or a file of `conf/` that cannot be read, names no key or gives one
            no possible value.
    """
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        keys = list(_keys(_APPS[name]))
        quoted = [_quoted(override) for override in overrides]
        for override in quoted:
            _check(override, keys)
        try:
            config = hydra.compose(f"{name}_app", quoted)
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(_told(error, overrides, keys)) from error
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f"{mark.name}: line {mark.line + 1}" if mark else "conf/"
            raise UserError(f"{where}: {error.problem}; write it as YAML") from error
        except (ReaderError, UnicodeDecodeError) as error:
            raise UserError(f"{_not_text()}: {error.reason}; save it as text in UTF-8") from error
    composed = to_dataclass(config, _APPS[name])
    _folders[:] = vars(composed.paths).values()
    return composed


def _told(error: Exception, overrides: Sequence[str], keys: Collection[str]) -> str:
    """What is wrong with overrides, or with a file, of which Hydra tells the first line only."""
    if absent := _ABSENT.search(str(error)):
        return f"conf/{absent[1]}.yaml: missing; put it back (git checkout conf/{absent[1]}.yaml)"
    file = _IN_FILE.match(str(error))
    cause = error.__cause__ or (error.__context__ if file else None) or error
    key = getattr(cause, "full_key", None)
    given = " ".join(_shown(override) for override in overrides)
    where = f"conf/{file[1]}.yaml: " if file else f"configuration: {given}: "
    where += f"{key}: " if key else ""
    if key and isinstance(cause, ConfigKeyError):
        return f"{where}there is no such key; {_meant(key, keys)}"
    what = _shown(str(cause).splitlines()[0])
    remedy = next((r for said, r in _REMEDIES.items() if said in what), "another value")
    return f"{where}{what}; give {remedy}"


def _not_text() -> Path:
    """The first file of `conf/` that is no text, which the errors of a decoder do not name."""
    for path in sorted(CONF.glob("*.yaml")):
        try:
            Reader(path.read_text(encoding="utf-8"))
        except (ReaderError, UnicodeDecodeError):
            return path
    return CONF


def _quoted(override: str) -> str:
    """The override with quotes around what Hydra does not know: a revision, an address, letters."""
    if found := _REVISION.fullmatch(override):
        return f"{found[1]}='{found[2]}'"
    key, is_one, value = override.partition("=")
    is_foreign = not value.isascii() or "://" in value
    if is_one and is_foreign and not _HAS_A_MEANING.search(value):
        return f"{key}='{value}'"
    return override


def _shown(override: str) -> str:
    """Return what is said of an override, which is nothing of an address but its scheme."""
    return _OF_ADDRESS.sub("://…", override)


def _check(override: str, keys: Collection[str]) -> None:
    """Raise `UserError` unless an override gives one of `keys` one value."""
    shown = _shown(override)
    if override.startswith("-"):
        raise UserError(
            _MULTIRUN.format(override=override)
            if override in ("-m", "--multirun")
            else f"'{shown}' is no option; give key=value, and see conf/ for the keys"
        )
    try:
        parsed = OverridesParser.create().parse_override(override)
        is_sweep = parsed.is_sweep_override()
    except HydraException as error:
        what = _shown(" ".join(str(error).split("\nSee ")[0].split()))
        raise UserError(
            f"'{shown}' is no key=value ({what}); put quotes around a value with spaces, commas "
            "or brackets, inside those of the shell: 'key=\"…\"'"
        ) from error
    key = override.partition("=")[0]
    if parsed.type is OverrideType.DEL:
        raise UserError(f"'{shown}': no key can be left out; give it another value with key=…")
    if parsed.type is not OverrideType.CHANGE:
        near = difflib.get_close_matches(key.lstrip("+"), keys, 1, _ALIKE)
        remedy = f"{near[0]}=…" if near else "key=value, without +"
        raise UserError(f"'{shown}': no key can be added; give {remedy}, and see conf/")
    if key not in keys and not (
        key.rpartition(".")[2].isdigit() and key.rpartition(".")[0] in keys
    ):
        raise UserError(
            f"{shown}: Could not override '{key}': there is no such key; {_meant(key, keys)}"
            if key
            else f"'{shown}' names no key; give key=value"
        )
    if is_sweep:
        raise UserError(_MULTIRUN.format(override=shown))


def _meant(key: str, keys: Collection[str]) -> str:
    """Return what somebody may have meant by a key that there is not."""
    near = difflib.get_close_matches(key, keys, 3, _ALIKE)
    return f"did you mean {' or '.join(near)}?" if near else "see conf/ for the keys"


def _keys(kind: type, prefix: str = "") -> Iterator[str]:
    """Every key of a config by its full name, sections and what is in them."""
    hints = get_type_hints(kind)
    for f in fields(kind):
        yield f"{prefix}{f.name}"
        if is_dataclass(hints[f.name]):
            yield from _keys(hints[f.name], f"{prefix}{f.name}.")


def stage(
    name: str, writes: Callable[[Any], Path] | None = None
) -> Callable[[Callable[[Any], None]], Callable[..., None]]:
    """Decorate `main(cfg)` as the application of stage `name`.

    `cfg` is the stage's dataclass of `pipeline.config`, for example `TrainApp`. What is returned
    takes overrides such as `"seed=3"`, those of the command line if none are given. See `run`.

    Args:
        name: of the stage.
        writes: what `main(cfg)` writes, of which only one process at a time may be in charge;
            the stage's own folder if not given.
    """

    def decorate(main: Callable[[Any], None]) -> Callable[..., None]:
        def work(overrides: Sequence[str]) -> None:
            cfg = compose(name, *overrides)
            own, work = workdir.OUTPUTS[name], Path(cfg.paths.work)
            output = getattr(cfg.paths, own.key.removeprefix("paths."))
            if storage.is_remote(output):
                raise UserError(
                    f"{own.key}={output}: a stage writes to a local folder; give one, and let "
                    "dvc remote add and dvc push take it to a store"
                )
            with workdir.claimed(writes(cfg) if writes else output, work):
                if writes is None:
                    workdir.check_replaceable(Path(output), work, own)
                main(cfg)

        def start(overrides: Sequence[str] | None = None) -> None:
            given = sys.argv[1:] if overrides is None else overrides
            if not usage.HELP.isdisjoint(given):
                print(usage.text("discern", name, (), name, CONF, compose))
            elif not _SHOWING.isdisjoint(given):
                _show(name, given)
            else:
                run(name, lambda: work(given), kept=KEPT[name])

        return start

    return decorate


def _show(name: str, arguments: Sequence[str]) -> None:
    """Let Hydra, which reads the command line, print what it can tell of the configuration."""
    sys.argv[1:] = arguments
    hydra.main(version_base="1.3", config_path=str(CONF), config_name=f"{name}_app")(
        lambda _: None
    )()


def run(name: str, work: Callable[[], None], *, kept: str, needs_project: bool = True) -> None:
    """Do the work of a stage or command, and end with one sentence whatever a user can mend.

    A `UserError`, or what a disk refuses, becomes a sentence on stderr and exit status 1; a signal
    that says to stop, a sentence and exit status 128 + n.

    Args:
        name: of the stage or command.
        work: to do in the folder of the project.
        kept: what a stop leaves, and how to go on.
        needs_project: whether it works on the project in the working folder.
    """
    entry.begin(name)
    logging.basicConfig(level=logging.INFO, format=_LOGGED, datefmt=_TIME, stream=sys.stderr)
    interrupts.keeps(kept)
    try:
        with interrupts.raised():
            if needs_project:
                project.check_is(Path.cwd())
            work()
    except BaseException as error:
        # What fails because its processes were told to stop as well is no failure of its own.
        if isinstance(error, interrupts.Interrupted) or interrupts.due() is not None:
            interrupts.leave()
        sentence = str(error) if isinstance(error, UserError) else _refusal(error)
        if sentence is None:
            raise
        sys.exit(f"{name}: {sentence}")


def _refusal(error: BaseException) -> str | None:
    # Where an error names no file, the fullest folder is it; each may be a disk of its own.
    folders = [str(PROJECT), tempfile.gettempdir(), *_folders]
    found = disk.refusal(error, folders) if isinstance(error, Exception) else None
    return found and f"{found}; earlier outputs are as they were"
