from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import pipeline
from pipeline import app
from tests.conftest import write_collection
from tests.tiny_collection import tiny_rows

pytestmark = pytest.mark.slow

TINY = {
    "ingest": ("clip.num_frames=8", "clip.size=32", "stride_frames=8"),
    "split": ("unseen_sources=[]", "val_fraction=0.3", "test_fraction=0.3"),
    "augment": (),
    "pack": (),
    "embed": ("pictures.name=none",),
    "probe": (),
    "train": (
        "num_epochs=1",
        "batch_size=4",
        "run.wandb=disabled",
    ),
    "evaluate": (
        "splits=[test]",
        "suites=[discrimination,data]",
        "num_bootstrap=10",
        "run.wandb=disabled",
    ),
}
"""What makes each stage quick."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    subprocess.run([*command, str(app.PROJECT)], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def discern(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, installed from the wheel where neither the repository nor its own install is."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*command, "--no-deps", "--no-index", str(wheel)], check=True)
    # What it depends on is here already; files that name further folders are not read this way.
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    Path(packages, "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return environment / "bin" / "discern"


def run(discern: Path, *arguments: str, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(discern), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_settings_recipes_and_types(wheel: Path) -> None:
    assert wheel.name.startswith(f"discern-{pipeline.__version__}-")
    names = set(zipfile.ZipFile(wheel).namelist())
    conf = {path.relative_to(app.PROJECT) for path in app.CONF.rglob("*.yaml")}
    assert {f"pipeline/shipped/{path}" for path in conf} <= names
    recipes = (
        "train.py",
        "evaluate.py",
        "docs/footage.md",
        "footage/README.md",
        "deployment/README.md",
    )
    assert {f"pipeline/shipped/{name}" for name in recipes} <= names
    assert "pipeline/py.typed" in names
    assert {name.split("/")[0] for name in names} == {
        "pipeline",
        f"discern-{pipeline.__version__}.dist-info",
    }


def test_six_files_go_from_init_to_a_report(discern: Path, tmp_path: Path) -> None:
    where = "import pipeline; print(pipeline.__file__)"
    environment = discern.parents[1]
    assert str(environment) in run(environment / "bin" / "python", "-c", where, folder=tmp_path)
    assert "\n  init        Makes the folder of a new project.\n" in run(
        discern, "--help", folder=tmp_path
    )
    assert run(discern, "--version", folder=tmp_path) == f"discern {pipeline.__version__}\n"
    run(discern, "init", "mine", folder=tmp_path)
    mine = tmp_path / "mine"
    write_collection(mine / "footage" / "tiny", tiny_rows())
    for stage, overrides in TINY.items():
        run(discern, stage, *overrides, "run.num_workers=1", "run.progress=false", folder=mine)
    assert (mine / "reports" / "report.html").is_file()
    assert (mine / "models" / "model.json").is_file()
