from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pipeline.assess import lineage
from pipeline.assess.lineage import (
    CONFIGURATION,
    MADE_FROM,
    OTHER,
    REPORTS,
    SOURCES,
    FileDifference,
)
from pipeline.errors import UserError
from pipeline.store.manifest import FILES, File, write_rows


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "train.yaml").write_text("seed: 7\n")
    (folder / "run.yaml").write_text("num_workers: 2\n")
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """A file or two in the folder of every stage before the report."""
    places = {name: tmp_path / name for name in lineage.FOLDERS if name != REPORTS}
    for name, folder in places.items():
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "shard-00000.tar").write_bytes(name.encode())
    files = [
        File("mine", "a.mp4", "mine/a", "s", "real", "CC0", "", sha256="a" * 64),
        File("mine", "bad.mp4", "mine/b", "s", "real", "CC0", "", reject="decode_error"),
    ]
    write_rows(places["clips"] / FILES, File, files)
    return places


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    (folder / "plots").mkdir(parents=True)
    (folder / "report.html").write_text("<p>fine</p>")
    (folder / "plots" / "roc.csv").write_text("fpr,tpr\n")
    return folder


def test_every_file_of_every_stage_is_hashed(
    conf: Path, folders: dict[str, Path], reports: Path
) -> None:
    root = lineage.write_lineage(reports, lineage.hash_stages(folders, conf))
    told_root, hashes = lineage.read_lineage(reports)
    assert told_root == root
    assert list(hashes) == sorted(MADE_FROM.keys() - {OTHER})
    assert hashes[CONFIGURATION] == {"train.yaml": sha256(b"seed: 7\n")}
    assert hashes[SOURCES] == {"mine/a.mp4": "a" * 64}
    assert hashes["packed"] == {"deep/shard-00000.tar": sha256(b"packed")}
    assert hashes[REPORTS] == {
        "plots/roc.csv": sha256(b"fpr,tpr\n"),
        "report.html": sha256(b"<p>fine</p>"),
    }
    assert not list(lineage.compare(hashes, folders | {REPORTS: reports}, conf))


def test_a_byte_of_a_source_changes_the_digest_of_all_that_was_made_of_it_and_of_no_other() -> None:
    hashes = {name: {"x": sha256(name.encode())} for name in MADE_FROM}
    before = lineage.chain(hashes)
    after = lineage.chain({**hashes, "splits": {"x": "0" * 64}})
    changed = {name for name in before if before[name]["digest"] != after[name]["digest"]}
    assert changed == {*("splits", "augmented", "packed", "features", "probes", "models"), REPORTS}
    assert before["clips"] == after["clips"]


def test_the_root_tells_a_renamed_file_and_a_moved_one() -> None:
    one = lineage.chain({REPORTS: {"a": "1", "b": "2"}})[REPORTS]["digest"]
    assert one != lineage.chain({REPORTS: {"a": "2", "b": "1"}})[REPORTS]["digest"]
    assert one != lineage.chain({REPORTS: {"a": "1", "c": "2"}})[REPORTS]["digest"]
    assert one == lineage.chain({REPORTS: {"b": "2", "a": "1"}})[REPORTS]["digest"]


def test_a_digest_can_be_made_again_by_hand() -> None:
    stage = lineage.chain({"packed": {"x": "1"}, "models": {"y": "2"}})["models"]
    packed = sha256(b'["packed",{"files":{"x":"1"},"inputs":{}}]')
    assert stage["inputs"] == {"packed": packed}
    text = f'["models",{{"files":{{"y":"2"}},"inputs":{{"packed":"{packed}"}}}}]'
    assert stage["digest"] == sha256(text.encode())


def test_differences_are_named_by_file(conf: Path, folders: dict[str, Path], reports: Path) -> None:
    lineage.write_lineage(reports, lineage.hash_stages(folders, conf))
    (conf / "train.yaml").write_text("seed: 8\n")
    (conf / "run.yaml").write_text("num_workers: 9\n")
    (conf / "experiment").mkdir()
    (conf / "experiment" / "full.yaml").write_text("train: {seed: 9}\n")
    (folders["models"] / "deep" / "shard-00000.tar").unlink()
    (reports / "new.txt").write_text("hello")
    _, hashes = lineage.read_lineage(reports)
    assert set(lineage.compare(hashes, folders | {REPORTS: reports}, conf)) == {
        FileDifference(CONFIGURATION, "train.yaml", "changed"),
        FileDifference("models", "deep/shard-00000.tar", "missing"),
        FileDifference(REPORTS, "new.txt", "extra"),
    }


def test_the_other_model_of_a_comparison_is_part_of_the_root_and_not_hashed_again(
    conf: Path, folders: dict[str, Path], reports: Path
) -> None:
    before = lineage.hash_stages(folders, conf)
    roots = [
        lineage.write_lineage(reports, {**before, OTHER: {"model.safetensors": digest * 64}})
        for digest in "ab"
    ]
    assert roots[0] != roots[1] != lineage.write_lineage(reports, before)
    lineage.write_lineage(reports, {**before, OTHER: {"model.safetensors": "a" * 64}})
    _, hashes = lineage.read_lineage(reports)
    assert hashes[OTHER] == {"model.safetensors": "a" * 64}
    assert not list(lineage.compare(hashes, folders | {REPORTS: reports}, conf))


@pytest.mark.parametrize("spot", ["files", "inputs", "digest", "root"])
def test_a_lineage_that_was_changed_itself_is_refused(
    spot: str, conf: Path, folders: dict[str, Path], reports: Path
) -> None:
    lineage.write_lineage(reports, lineage.hash_stages(folders, conf))
    path = reports / lineage.LINEAGE
    told = json.loads(path.read_text())
    if spot == "root":
        told["root"] = "0" * 64
    elif spot == "digest":
        told["stages"]["packed"]["digest"] = "0" * 64
    elif spot == "inputs":
        del told["stages"]["packed"]["inputs"]["clips"]
    else:
        told["stages"]["packed"]["files"]["deep/shard-00000.tar"] = "0" * 64
    path.write_text(json.dumps(told))
    with pytest.raises(UserError, match="digests do not follow"):
        lineage.read_lineage(reports)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stages": 3, "root": ""}', "\x00"])
def test_what_is_no_lineage_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / lineage.LINEAGE).write_text(text)
    with pytest.raises(UserError, match=lineage.LINEAGE):
        lineage.read_lineage(tmp_path)


def test_a_stage_on_a_store_is_left_out_and_what_follows_still_chained(
    conf: Path, folders: dict[str, Path], reports: Path
) -> None:
    near = {name: folder for name, folder in folders.items() if name != "packed"}
    lineage.write_lineage(reports, lineage.hash_stages(near, conf))
    _, hashes = lineage.read_lineage(reports)
    assert "packed" not in hashes
    assert list(lineage.chain(hashes)["models"]["inputs"]) == [CONFIGURATION, "features"]


def test_equal_folders_give_equal_bytes(
    conf: Path, folders: dict[str, Path], reports: Path
) -> None:
    texts = []
    for _ in range(2):
        lineage.write_lineage(reports, lineage.hash_stages(folders, conf))
        texts.append((reports / lineage.LINEAGE).read_bytes())
    assert texts[0] == texts[1]
    assert str(reports.parent).encode() not in texts[0]
