from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

from pipeline.commands.wandb_runs import read_runs, records
from pipeline.errors import UserError

BLOCK = 32768


def write(path: Path, found: Iterable[Any]) -> None:
    """A `.wandb` file as wandb-core writes it: LevelDB's log after a header of seven bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = bytearray(b":W&B\xe1\xbe\x00")
    for record in found:
        rest, is_first = record.SerializeToString(), True
        while rest or is_first:
            left = BLOCK - len(data) % BLOCK
            if left < 7:
                data += bytes(left)
                left = BLOCK
            part, rest = rest[: left - 7], rest[left - 7 :]
            kind = 1 if is_first and not rest else 2 if is_first else 3 if rest else 4
            checksum = zlib.crc32(part, zlib.crc32(bytes([kind])))
            data += checksum.to_bytes(4, "little") + len(part).to_bytes(2, "little")
            data += bytes([kind]) + part
            is_first = False
    path.write_bytes(bytes(data))


def changes(kind: str, values: Mapping[str, Any], *, nested: bool = False) -> Any:
    record = Record()
    for name, value in values.items():
        place = record.run.config if kind == "run" else getattr(record, kind)
        item = place.update.add()
        if nested:
            item.nested_key.extend(name.split("/"))
        else:
            item.key = name
        item.value_json = json.dumps(value)
    return record


def used(path: str, md5: str, kind: str = "dataset") -> Any:
    record = Record()
    record.artifact.type = kind
    entry = record.artifact.manifest.contents.add()
    entry.path, entry.ref = path, f"dvc://md5/{md5}"
    return record


def ended(exit_code: int) -> Any:
    record = Record()
    record.exit.exit_code = exit_code
    record.exit.runtime = 3
    return record


CONFIG = changes("run", {"seed": 3, "model": {"name": "flash"}, "_wandb": {}})
SUMMARY = changes("summary", {"val_auroc": 0.5, "_runtime": 3, "trainer/global_step": 8})


def test_a_finished_run_has_the_parameters_and_the_last_summary(tmp_path: Path) -> None:
    log = [
        CONFIG,
        changes("config", {"model/widths": [1, 2]}, nested=True),
        used("packed", "0123456789ab.dir"),
        used("models", "a" * 32, "model"),
        SUMMARY,
        changes("summary", {"val_auroc": 0.75, "t/nrows": 9, "t/_type": "table-file"}, nested=True),
        ended(0),
    ]
    write(tmp_path / "offline-run-1" / "run-a.wandb", log)
    runs, notes = read_runs(tmp_path)
    assert notes == []
    assert [run.parameters for run in runs] == [
        {
            "train.seed": 3,
            "train.model.name": "flash",
            "train.model.widths": [1, 2],
            "packed": "0123456",
        }
    ]
    assert runs[0].metrics == {"val_auroc": 0.75}


@pytest.mark.parametrize("end", [[], [ended(1)]])
def test_a_run_that_was_killed_or_failed_is_told_and_left_out(
    tmp_path: Path, end: list[Any]
) -> None:
    write(tmp_path / "a" / "run-a.wandb", [CONFIG, SUMMARY, *end])
    write(tmp_path / "b" / "run-b.wandb", [CONFIG, SUMMARY, ended(0)])
    runs, notes = read_runs(tmp_path)
    assert len(runs) == 1
    assert notes == ["1 run that did not finish, not in the table"]


def test_a_link_to_a_run_is_no_second_run(tmp_path: Path) -> None:
    write(tmp_path / "a" / "run-a.wandb", [CONFIG, SUMMARY, ended(0)])
    (tmp_path / "latest-run").symlink_to("a")
    assert len(read_runs(tmp_path)[0]) == 1
    assert len(read_runs(tmp_path / "latest-run")[0]) == 1


@pytest.mark.parametrize("size", [BLOCK - 40, BLOCK - 12, 5 * BLOCK])
def test_records_may_lie_across_blocks(tmp_path: Path, size: int) -> None:
    path = tmp_path / "run-a.wandb"
    log = [CONFIG, changes("config", {"text": "x" * size}), SUMMARY, ended(0)]
    write(path, log)
    assert [record.SerializeToString() for record in records(path)] == [
        record.SerializeToString() for record in log
    ]


def test_a_torn_end_ends_the_records(tmp_path: Path) -> None:
    path = tmp_path / "run-a.wandb"
    write(path, [CONFIG, SUMMARY])
    path.write_bytes(path.read_bytes()[:-3])
    assert [record.WhichOneof("record_type") for record in records(path)] == ["run"]
    path.write_bytes(b"")
    assert list(records(path)) == []


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run-a.wandb").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"run-a\.wandb: no record of W&B"):
        read_runs(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        read_runs(tmp_path / "nowhere")
