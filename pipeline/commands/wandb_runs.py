"""Reads runs of W&B from their folders on this machine, without W&B's servers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.assess import wording
from pipeline.commands.seed_table import TrainingRun, flatten, numbers
from pipeline.errors import UserError

_HEADER = b":W&B"
_HEADER_SIZE = 7
_BLOCK_SIZE = 32768
_CHUNK_HEADER_SIZE = 7
_WHOLE, _LAST = 1, 4
# What pipeline.store.tracking calls them; to import that takes seconds.
_DATA = "dataset"


def read_runs(folder: Path) -> tuple[list[TrainingRun], list[str]]:
    """Finished runs whose records lie anywhere below `folder`, and sentences on the rest.

    Parameters are those of the config, under `train.`, and the DVC hashes of data. Metrics are
    those of the summary, but for what W&B adds.

    Raises:
        UserError: no folder, or a file in it that is no record of W&B.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name one that holds runs of W&B")
    left_out: Counter[str] = Counter()
    runs = []
    # latest-run is a link to one of the others.
    for path in sorted({path.resolve() for path in folder.rglob("run-*.wandb")}):
        run = _read(path)
        if run is None:
            left_out["that did not finish, not in the table"] += 1
        else:
            runs.append(run)
    return runs, [f"{wording.count(n, 'run')} {what}" for what, n in left_out.items()]


def _read(path: Path) -> TrainingRun | None:
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    data: dict[str, str] = {}
    is_finished = False
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            _update(config, record.run.config)
        elif kind == "config":
            _update(config, record.config)
        elif kind == "summary":
            _update(summary, record.summary)
        elif kind == "artifact" and record.artifact.type == _DATA:
            data |= {entry.path: _md5(entry.ref)[:7] for entry in record.artifact.manifest.contents}
        elif kind == "exit":
            is_finished = record.exit.exit_code == 0
    if not is_finished:
        return None
    parameters = flatten({k: v for k, v in config.items() if not k.startswith("_")}, "train.")
    found = numbers({name: value for name, value in summary.items() if _is_ours(name, value)})
    return TrainingRun({**parameters, **data}, found)


def records(path: Path) -> Iterator[Any]:
    """The records of a `.wandb` file, as wandb's protocol buffers; a torn last one is left out.

    The file is a log of LevelDB after a header of seven bytes: blocks of 32 KiB, chunks with
    checksum, length and type, none of which crosses a block.

    Raises:
        UserError: the file is something else.
    """
    from google.protobuf.message import DecodeError
    from wandb.proto import wandb_internal_pb2

    data = path.read_bytes()
    if data and not data.startswith(_HEADER):
        raise UserError(f"{path}: no record of W&B; delete it or name another folder")
    offset, held = _HEADER_SIZE, b""
    while offset + _CHUNK_HEADER_SIZE <= len(data):
        left = _BLOCK_SIZE - offset % _BLOCK_SIZE
        if left < _CHUNK_HEADER_SIZE:
            offset += left
            continue
        size = int.from_bytes(data[offset + 4 : offset + 6], "little")
        kind = data[offset + 6]
        offset += _CHUNK_HEADER_SIZE
        held += data[offset : offset + size]
        offset += size
        if offset > len(data):
            return
        if kind in (_WHOLE, _LAST):
            record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
            try:
                record.ParseFromString(held)
            except DecodeError as error:
                raise UserError(f"{path}: damaged ({error}); delete it") from error
            yield record
            held = b""


def _update(values: dict[str, Any], record: Any) -> None:
    """Take in what a record of config or summary changes."""
    for item in record.update:
        *above, name = item.nested_key or [item.key]
        inner = values
        for key in above:
            inner = inner.setdefault(key, {})
        inner[name] = json.loads(item.value_json)
    for item in record.remove:
        values.pop(item.key, None)


def _is_ours(name: str, value: Any) -> bool:
    """Return whether a value of a summary is a metric, and no counter of W&B or file of a table."""
    is_file = isinstance(value, dict) and "_type" in value
    return not name.startswith(("_", "trainer/")) and not is_file


def _md5(reference: str) -> str:
    return reference.rpartition("/")[2]
