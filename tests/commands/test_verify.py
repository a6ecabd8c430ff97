from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import app
from pipeline.assess import lineage
from pipeline.commands import verify
from pipeline.config import App
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, write_index
from pipeline.store import workdir
from pipeline.store.manifest import FILES, File, write_rows

NAMES = ("clips", "splits", "augmented", "packed", "features", "probes", "models", "deployment")


@pytest.fixture
def project(
    tmp_path: Path, compose: Callable[..., App], monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Any]:
    """Folders of a finished run with its lineage, and the config that names them."""
    cfg = compose("ingest")
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "train.yaml").write_text("seed: 7\n")
    collection = tmp_path / "footage" / "mine"
    collection.mkdir(parents=True)
    names = ("a.mp4", "b.mp4")
    write_index(collection, [IndexRow(name, "real", "s", False, "CC0-1.0") for name in names])
    for name in names:
        (collection / name).write_bytes(name.encode())
    for name in (*NAMES, "reports"):
        folder = tmp_path / name / "inner"
        folder.mkdir(parents=True)
        (folder / "data.bin").write_bytes(bytes(range(256)) + name.encode())
    digests = [workdir.file_sha256(collection / name) for name in names]
    files = [
        File("mine", name, f"mine/{name}", "s", "real", "CC0-1.0", "", sha256=digest)
        for name, digest in zip(names, digests, strict=True)
    ]
    write_rows(tmp_path / "clips" / FILES, File, files)
    monkeypatch.setattr(app, "CONF", conf)
    hashes = lineage.hash_stages({name: tmp_path / name for name in NAMES}, conf)
    lineage.write_lineage(tmp_path / "reports", hashes)
    return tmp_path, cfg


def output(capsys: pytest.CaptureFixture[str], cfg: Any, *roots: str) -> tuple[int, list[str]]:
    try:
        verify.run(*roots, cfg=cfg)
        status = 0
    except SystemExit as error:
        status = int(str(error.code))
    return status, capsys.readouterr().out.splitlines()


def test_what_nobody_touched_passes(
    project: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    root, cfg = project
    status, lines = output(capsys, cfg)
    told, _ = lineage.read_lineage(root / "reports")
    assert status == 0
    made_by, *rest = lines
    assert made_by.startswith("Made by code of SHA-256 ")
    assert rest == ["13 files checked, 0 differ", f"root {told}"]
    assert output(capsys, cfg, told)[0] == 0


@pytest.mark.parametrize(
    "path",
    [
        *(f"{name}/inner/data.bin" for name in (*NAMES, "reports")),
        "clips/files.parquet",
        "conf/train.yaml",
        "footage/mine/b.mp4",
    ],
)
def test_a_single_bit_anywhere_is_found_and_its_file_named(
    path: str, project: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    root, cfg = project
    data = bytearray((root / path).read_bytes())
    data[len(data) // 2] ^= 1
    (root / path).write_bytes(data)
    status, lines = output(capsys, cfg)
    assert status == 1
    [line] = [line for line in lines if line.endswith(": changed")]
    assert path.removeprefix("footage/") in line
    assert "13 files checked, 1 differ" in lines


def test_missing_and_added_files_are_named(
    project: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    root, cfg = project
    (root / "models" / "inner" / "data.bin").unlink()
    (root / "footage" / "mine" / "a.mp4").unlink()
    (root / "reports" / "plots").mkdir()
    (root / "reports" / "plots" / "new.csv").write_text("x\n")
    status, lines = output(capsys, cfg)
    assert status == 1
    assert f"{root}/models/inner/data.bin: missing" in lines
    assert f"{root}/reports/plots/new.csv: extra" in lines
    assert "source file mine/a.mp4: missing" in lines
    assert "13 files checked, 3 differ" in lines


def test_a_folder_that_is_gone_is_a_difference(
    project: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    root, cfg = project
    shutil.rmtree(root / "packed")
    status, lines = output(capsys, cfg)
    assert status == 1
    assert f"{root}/packed/inner/data.bin: missing" in lines


def test_sources_that_are_out_of_reach_are_said_to_be_unchecked(
    project: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    root, cfg = project
    shutil.rmtree(root / "footage")
    status, lines = output(capsys, cfg)
    assert status == 0
    assert any(
        line.startswith("Not checked: 2 source files of the collection mine") for line in lines
    )
    assert "11 files checked, 0 differ" in lines


def test_the_other_model_of_a_comparison_is_named_with_its_hash(
    project: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    root, cfg = project
    hashes = lineage.hash_stages({name: root / name for name in NAMES}, app.CONF)
    other = {"model.safetensors": "c" * 64}
    lineage.write_lineage(root / "reports", hashes | {lineage.OTHER: other})
    status, lines = output(capsys, cfg)
    assert status == 0
    named = "Not checked: model.safetensors of the model compared with, SHA-256 " + "c" * 64
    assert named in lines
    assert "13 files checked, 0 differ" in lines


def test_the_lineage_of_another_report_has_another_root(
    project: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    _, cfg = project
    status, lines = output(capsys, cfg, "0" * 64)
    assert status == 1
    assert any("this is the lineage of another report" in line for line in lines)


def test_a_forged_report_with_a_lineage_made_again_is_told_by_the_root(
    project: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    root, cfg = project
    noted, _ = lineage.read_lineage(root / "reports")
    (root / "reports" / "inner" / "data.bin").write_bytes(b"better numbers")
    hashes = lineage.hash_stages({name: root / name for name in NAMES}, app.CONF)
    lineage.write_lineage(root / "reports", hashes)
    assert output(capsys, cfg)[0] == 0
    assert output(capsys, cfg, noted)[0] == 1


def test_a_changed_lineage_is_refused(project: tuple[Path, Any]) -> None:
    root, cfg = project
    path = root / "reports" / lineage.LINEAGE
    path.write_text(path.read_text().replace('"root": "', '"root": "f'))
    with pytest.raises(UserError, match=r"lineage\.json: changed"):
        verify.run(cfg=cfg)


def test_more_than_one_root_is_refused(project: tuple[Path, Any]) -> None:
    with pytest.raises(UserError, match="one root at most"):
        verify.run("a", "b", cfg=project[1])


def test_a_name_that_hides_is_shown(
    project: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    root, cfg = project
    (root / "reports" / "a\u202egpj.exe").write_text("x")
    status, lines = output(capsys, cfg)
    assert status == 1
    assert any(line.endswith(r"a\u202egpj.exe: extra") for line in lines)
