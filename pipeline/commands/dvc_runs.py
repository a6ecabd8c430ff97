"""Finds runs among DVC experiments, and trusts no number that was made of something else."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.assess import wording
from pipeline.commands.seed_table import TrainingRun, flatten, numbers
from pipeline.errors import UserError

_LOCK = "dvc.lock"
_WORKSPACE = "workspace"


def read_runs(
    project: Path, revs: Sequence[str], main: Collection[str]
) -> tuple[list[TrainingRun], list[str]]:
    """Runs of `revs` and of the experiments that start from them, and sentences on the rest.

    Without `revs`: the workspace, the current commit and its experiments. Parameters are those
    of `dvc.lock`, under the name of their file; so are the hashes of code and footage, under
    their path. A metric is left out if its stage, or one before it, ran on something else than
    the others left since, or if its file is not what the stage wrote.

    Args:
        main: files whose metrics go by their bare names; others have their path before it.

    Raises:
        UserError: not a DVC project, or an unknown revision.
    """
    # dvc.api.exp_show gives texts only, and does not tell parameters from metrics.
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError

    left_out: Counter[str] = Counter()
    runs = []
    try:
        with Repo(str(project)) as repo:
            shown = repo.experiments.show(revs=list(revs) or None, hide_workspace=bool(revs))
            here = [state.data for state in shown if state.rev == _WORKSPACE and state.data]
            edited = _edited(repo, [path for data in here for path in data.metrics])
    except (DvcException, SCMError) as error:
        remedy = "; name branches, tags, commits or experiments, as dvc exp show lists them"
        raise UserError(
            f"{' '.join(revs) or project}: {error.__cause__ or error}{remedy if revs else ''}"
        ) from error
    for state in _finished(shown, left_out):
        lock = _lock(project, state.rev)
        metrics: dict[str, float] = {}
        for path, found in state.data.metrics.items():
            if _maker(path, lock) is None:
                continue
            if not found.get("data"):
                left_out[f"without {path} at hand; run dvc pull"] += 1
            elif not is_fresh(path, lock) or (state.rev == _WORKSPACE and path in edited):
                left_out[
                    f"whose {path} was made of something else than the rest; run dvc repro"
                ] += 1
            else:
                prefix = "" if path in main else f"{path}:"
                metrics |= {f"{prefix}{name}": n for name, n in numbers(found["data"]).items()}
        if metrics:
            runs.append(TrainingRun(parameters(lock), metrics))
    return runs, [f"{wording.count(n, 'run')} {what}" for what, n in sorted(left_out.items())]


def _finished(states: Iterable[Any], left_out: Counter[str]) -> Iterator[Any]:
    """Those that are done, of DVC's commits with the experiments that start from them."""
    for commit in states:
        runs = [(commit, None)]
        runs += [(span.revs[0], span.executor) for span in commit.experiments or []]
        for state, executor in runs:
            if executor is not None and executor.state != "success":
                left_out[f"{executor.state}, not in the table"] += 1
            elif state.data is None:
                left_out[f"not readable: {state.error.msg if state.error else state.rev}"] += 1
            else:
                yield state


def _edited(repo: Any, paths: Iterable[str]) -> set[str]:
    """Those of `paths` whose output is not as `dvc.lock` has it, as after a run by hand."""
    folders = [
        (Path(out.fs_path).relative_to(repo.root_dir), out)
        for out in repo.index.outs
        if out.protocol in (None, "local")
    ]
    return {
        path
        for path in paths
        for folder, out in folders
        if _inside(path, folder) and out.workspace_status()
    }


def _lock(project: Path, rev: str) -> dict[str, Any]:
    """The stages of `dvc.lock` at `rev`; none where there is none."""
    if rev == _WORKSPACE:
        path = project / _LOCK
        text = path.read_text() if path.is_file() else ""
    else:
        command = ["git", "show", f"{rev}:./{_LOCK}"]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        text = done.stdout if done.returncode == 0 else ""
    stages: dict[str, Any] = (yaml.safe_load(text) or {}).get("stages", {})
    return stages


def is_fresh(path: str, lock: Mapping[str, Any]) -> bool:
    """Return whether the stage that writes `path`, and all before it, ran on what the others wrote
    last.

    Args:
        lock: the stages of a `dvc.lock`.
    """
    own = _maker(path, lock)
    assert own is not None, path
    written = {out["path"]: _hash(out) for stage in lock.values() for out in stage.get("outs", [])}
    stages = [own]
    for name in stages:
        for dep in lock[name].get("deps", []):
            if dep["path"] in written:
                if _hash(dep) != written[dep["path"]]:
                    return False
                before = _maker(dep["path"], lock)
                if before is not None and before not in stages:
                    stages.append(before)
    return True


def parameters(lock: Mapping[str, Any]) -> dict[str, Any]:
    """`train.lr` and the like, and hashes of what no stage makes, of the stages of a `dvc.lock`."""
    found: dict[str, Any] = {}
    made = {out["path"] for stage in lock.values() for out in stage.get("outs", [])}
    for stage in lock.values():
        for file, values in stage.get("params", {}).items():
            found |= flatten(values, f"{Path(file).stem}.")
        for dep in stage.get("deps", []):
            if dep["path"] not in made:
                found[dep["path"]] = _hash(dep)[:7]
    return found


def _maker(path: str, lock: Mapping[str, Any]) -> str | None:
    """The stage that wrote `path`; None if none has yet."""
    for name, stage in lock.items():
        if any(_inside(path, Path(out["path"])) for out in stage.get("outs", [])):
            return name
    return None


def _hash(entry: Mapping[str, Any]) -> str:
    return str(entry[entry.get("hash", "md5")])


def _inside(path: str, folder: Path) -> bool:
    return Path(path).is_relative_to(folder)
