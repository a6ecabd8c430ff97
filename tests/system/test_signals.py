from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from pipeline import app
from pipeline.store import workdir
from tests.learn.toy import write_toy
from tests.packing import write_no_features
from tests.test_train import TINY

pytestmark = pytest.mark.slow

EARLIER = sorted([*workdir.OUTPUTS["train"].has, "earlier"])
"""Files of weights that were trained before."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project under DVC, whose one stage is an endless training."""
    folder = tmp_path_factory.mktemp("dvc") / "project"
    folder.mkdir()
    for name in ("pipeline", "conf"):
        shutil.copytree(app.PROJECT / name, folder / name)
    shutil.copy(app.PROJECT / "train.py", folder)
    write_toy(folder / "data" / "packed")
    write_no_features(folder / "data" / "features")
    (folder / "models").mkdir()
    for name in EARLIER:
        (folder / "models" / name).write_text("1")
    overrides = " ".join(one for one in TINY if not one.startswith("num_epochs"))
    train = {
        "cmd": f"python train.py num_epochs=${{num_epochs}} run.checkpoint_every_s=0 {overrides}",
        "params": [{"params.yaml": ["num_epochs"]}],
        "outs": [{"models": {"persist": True}}],
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": train}}))
    (folder / "params.yaml").write_text("num_epochs: 1000")
    subprocess.run(["dvc", "init", "--no-scm", "-q"], cwd=folder, check=True)
    subprocess.run(["dvc", "commit", "-q", "-f"], cwd=folder, check=True)
    (folder / "params.yaml").write_text("num_epochs: 1001")
    return folder


def is_left(group: int) -> bool:
    """Whether a process of the group is running still; nobody may fetch the status of orphans."""
    command = ["ps", "-eo", "pgid=,stat="]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return any(row.split()[0] == str(group) and row.split()[1][0] != "Z" for row in rows)


# Ctrl-C in DVC alone is not among them: DVC leaves that to its stage.
@pytest.mark.parametrize(
    ("number", "whom"),
    [
        (signal.SIGINT, "stage and dvc"),
        (signal.SIGTERM, "stage and dvc"),
        (signal.SIGTERM, "dvc alone"),
    ],
)
def test_a_training_that_dvc_runs_stays_stale_when_it_is_stopped(
    project: Path, number: signal.Signals, whom: str
) -> None:
    shutil.rmtree(project / ".work", ignore_errors=True)
    lock = (project / "dvc.lock").read_bytes()
    process = subprocess.Popen(
        ["dvc", "repro"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    until_s = time.monotonic() + 600
    while not list(project.glob(".work/train/*/last.ckpt")):
        assert process.poll() is None
        assert time.monotonic() < until_s
        time.sleep(0.1)
    kill = os.kill if whom == "dvc alone" else os.killpg
    kill(process.pid, number)
    printed, _ = process.communicate(timeout=120)
    told = number if whom == "stage and dvc" else signal.SIGTERM
    assert f"train: stopped by {told.name}; " in printed
    assert "last.ckpt is kept" in printed
    assert "Traceback" not in printed
    assert process.returncode != 0
    assert (project / "dvc.lock").read_bytes() == lock
    assert sorted(path.name for path in (project / "models").iterdir()) == EARLIER
    status = subprocess.run(
        ["dvc", "status"], cwd=project, capture_output=True, text=True, check=True
    )
    assert "train:" in status.stdout
    while is_left(process.pid):
        assert time.monotonic() < until_s
        time.sleep(0.1)
