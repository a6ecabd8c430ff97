"""W&B records of runs that hold numbers only and never stop a training or an evaluation."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from pipeline.errors import UserError
from pipeline.numbers.rounding import rounded
from pipeline.store import output_files
from pipeline.store.manifest import CLASSES, REAL_SHOOTING

MODES = ("offline", "online", "disabled")
SCORES = "val_scores"
DATA, MODEL, REPORT = "dataset", "model", "report"
"""Types of artifacts."""
_LOCK = Path("dvc.lock")
log = logging.getLogger(__name__)


def wandb_logger(
    mode: str, folder: Path, run_id: str, config: Mapping[str, Any], data: Path
) -> WandbLogger | None:
    """Start the W&B run `run_id` in `folder / "wandb"`, or go on with it; None without W&B.

    The record holds curves, `config`, the load of processor, memory, disk, network and GPU, the
    list of installed packages and, as a reference, the DVC hash of `data`: no frame, code, git
    state, command line or path, nor the name of the machine or of its user. In mode `offline`
    nothing leaves the machine, and no name is looked up either. If W&B cannot start, a warning
    says so. Of several processes that train one network only the first has a record.

    Raises:
        UserError: `mode` is none of `MODES`.
    """
    check_mode(mode)
    if mode == "disabled" or rank_zero_only.rank > 0:  # type: ignore[attr-defined]
        return None
    try:
        run = _start(mode, folder, run_id, config)
        if (md5 := locked_md5(data)) is not None:
            # "Logged" and not "used", which W&B refuses offline.
            run.log_artifact(_reference(data, DATA, md5))
        return WandbLogger(experiment=run, log_model=False)
    # Whatever is wrong with the tracker, the training is worth more.
    except Exception as error:
        log.warning("W&B did not start, so this run is not recorded there: %s", error)
        return None


def check_mode(mode: str) -> None:
    """Raise `UserError` for a mode that is none of `MODES`."""
    if mode not in MODES:
        raise UserError(f"run.wandb: '{mode}' is none of {', '.join(MODES)}")


def _start(mode: str, folder: Path, run_id: str, config: Mapping[str, Any]) -> Any:
    """Start or resume a run that tells nothing of the machine, its user or the code."""
    # DVC runs queued experiments in a folder that it deletes afterwards.
    folder = Path(os.environ.get("DVC_ROOT", Path.cwd())) / folder
    # Its reports of its own errors resolve a host, offline too.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "wandb"))
    import wandb

    settings = wandb.Settings(
        mode=cast(Literal["offline", "online"], mode),
        console="off",
        disable_code=True,
        disable_git=True,
        host="",
        save_code=False,
        silent=True,
        x_disable_meta=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    # Or W&B warns of every reference to DVC that it cannot check it.
    wandb.setup(wandb.Settings(silent=True))
    return wandb.init(
        project="discern",
        id=run_id,
        resume="allow" if mode == "online" else None,
        dir=folder,
        config=dict(config),
        settings=settings,
    )


def record_evaluation(
    mode: str,
    folder: Path,
    run_id: str,
    *,
    config: Mapping[str, Any],
    summary: Mapping[str, float],
    curves: Mapping[str, tuple[Sequence[str], Sequence[Sequence[Any]]]],
    page: str,
) -> None:
    """Record an evaluation as a run of its own; whatever fails is a warning.

    Args:
        mode: one of `MODES`.
        folder: holds `wandb/`, as for `wandb_logger`.
        run_id: names the run.
        config: of the evaluation.
        summary: metrics that runs are compared by.
        curves: tables by name, with their headers.
        page: the report as HTML without a picture, which becomes an artifact.

    Raises:
        UserError: `mode` is none of `MODES`.
    """
    check_mode(mode)
    if mode == "disabled":
        return
    import wandb

    try:
        run = _start(mode, folder, run_id, config)
        run.summary.update(dict(summary))
        for name, (header, rows) in curves.items():
            run.log({name: wandb.Table(list(header), [list(row) for row in rows])})
        artifact = wandb.Artifact("report", REPORT)
        with artifact.new_file(output_files.REPORT, encoding="utf-8") as file:
            file.write(page)
        run.log_artifact(artifact)
        run.finish()
        wandb.teardown()
    except Exception as error:
        log.warning("W&B holds no whole record of this evaluation: %s", error)


def finish(
    logger: WandbLogger | None,
    *,
    best: Mapping[str, float | None],
    sample_ids: Sequence[str],
    labels: Tensor,
    logits: Tensor,
    temperature: float,
    models: Path,
) -> None:
    """Add what is known at the end, and close the record; whatever fails is a warning.

    Args:
        logger: what `wandb_logger` gave.
        best: metrics of the epoch whose weights are kept, which become the summary of the run.
        sample_ids: those of the N samples of val.
        labels: int64 (N,) positions in `CLASSES`.
        logits: float (N, 4) of the weights that are kept; with `temperature` they make the scores,
            P(real_shooting), which become a table with the former two.
        models: the folder of weights, referred to by the hash that DVC will give it.
    """
    if logger is None:
        return
    import wandb

    try:
        run = logger.experiment
        scores = (logits.double() / temperature).softmax(1)[:, REAL_SHOOTING]
        table = wandb.Table(["sample_id", "class", "score"])
        for sample_id, label, score in zip(
            sample_ids, labels.tolist(), scores.tolist(), strict=True
        ):
            table.add_data(sample_id, CLASSES[label], rounded(score))
        run.log({SCORES: table})
        run.log_artifact(_reference(models, MODEL, folder_md5(models)))
        run.summary.update({name: value for name, value in best.items() if value is not None})
        run.finish()
        # finish() returns before the last records are on disk.
        wandb.teardown()
    except Exception as error:
        log.warning("W&B did not finish, so its record of this run is not whole: %s", error)


def stop(logger: WandbLogger | None) -> None:
    """Close the record of a run that was told to stop; whatever fails is a warning."""
    if logger is None:
        return
    import wandb

    try:
        wandb.teardown(exit_code=1)
    except Exception as error:
        log.warning("W&B did not finish, so its record of this run is not whole: %s", error)


def locked_md5(folder: Path) -> str | None:
    """The hash of an output folder in `dvc.lock`; None where the folder is not what that says.

    By number and size of the files, since hashing gigabytes again only for a record is too dear.
    """
    stages = yaml.safe_load(_LOCK.read_text())["stages"] if _LOCK.is_file() else {}
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    for out in outs:
        if out["path"] == str(folder) and (out["nfiles"], out["size"]) == (len(sizes), sum(sizes)):
            return str(out["md5"])
    return None


def folder_md5(folder: Path) -> str:
    """The hash that DVC gives a folder: that of a list of the hashes and paths of its files."""
    files = {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }
    entries = [
        {"md5": hashlib.md5(files[name].read_bytes()).hexdigest(), "relpath": name}
        for name in sorted(files)
    ]
    return f"{hashlib.md5(json.dumps(entries).encode()).hexdigest()}.dir"


def _reference(folder: Path, kind: str, md5: str) -> Any:
    import wandb

    artifact = wandb.Artifact(folder.name, kind)
    artifact.add_reference(f"dvc://md5/{md5}", name=folder.name, checksum=False)
    return artifact
