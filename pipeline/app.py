"""Turns a function of a stage's config into a Hydra application; the only module with Hydra."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import Any, Literal, overload

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig

from pipeline.config import (
    COMMANDS,
    STAGES,
    App,
    AugmentApp,
    EvaluateApp,
    IngestApp,
    PackApp,
    ProbeApp,
    SplitApp,
    SynthesizeApp,
    TrainApp,
    to_dataclass,
)
from pipeline.errors import UserError

PROJECT = Path(__file__).resolve().parent.parent
CONF = PROJECT / "conf"
_APPS = STAGES | COMMANDS
# Revisions of git such as HEAD~1 and main^, which are no values in Hydra's grammar.
_REVISION = re.compile(r"([\w.]+)=([\w./@-]*[~^][\w./@~^-]*)")


def _register(name: str) -> None:
    """Compose `conf/<name>.yaml` at the root; other files, such as paths.yaml, under their name."""
    kind = _APPS[name]
    own = {f.name for f in fields(kind.__mro__[1])} if name in STAGES else set()
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
        UserError: an override that names no key or gives it no possible value.
    """
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        try:
            config = hydra.compose(f"{name}_app", _quoted(overrides))
        except HydraException as error:
            raise UserError(f"{' '.join(overrides)}: {error}") from error
    return to_dataclass(config, _APPS[name])


def _quoted(overrides: Sequence[str]) -> list[str]:
    """Overrides with quotes around what is a revision of git."""
    return [
        _REVISION.sub(r"\1='\2'", one) if _REVISION.fullmatch(one) else one for one in overrides
    ]


def stage(name: str) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    """Decorate `main(cfg)` as the Hydra application of stage `name`.

    `cfg` is the stage's dataclass of `pipeline.config`, for example `TrainApp`.
    A `UserError` becomes one sentence on stderr and exit status 1.
    """

    def decorate(main: Callable[[Any], None]) -> Callable[[], None]:
        @hydra.main(version_base="1.3", config_path=str(CONF), config_name=f"{name}_app")
        def application(config: DictConfig) -> None:
            logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
            try:
                if Path.cwd().resolve() != PROJECT:
                    raise UserError(f"run it in the folder of the project: cd {PROJECT}")
                main(to_dataclass(config, STAGES[name]))
            except UserError as error:
                sys.exit(f"{name}: {error}")
            except KeyboardInterrupt:
                sys.exit(f"{name}: interrupted; earlier outputs are as they were")

        def start() -> None:
            sys.argv[1:] = _quoted(sys.argv[1:])
            application()

        return start

    return decorate
