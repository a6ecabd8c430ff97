"""What frozen encoders found in packed samples: an array a shard, beside an index of samples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline import manifest, storage
from pipeline.errors import UserError
from pipeline.packed import Packed

INDEX = "index.parquet"
CARD = "encoder.json"
INDEX_SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        # Of the packed bytes that the features are of.
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Features:
    """The features of every packed sample, in the order of its index."""

    values: NDArray[np.float16]
    """(N, K, F): of K looks of each of N samples."""
    card: Mapping[str, Any]
    """The encoder's `architecture` and `provenance`, and the `pictures` section of
    `conf/embed.yaml` that they were made by."""
    sha256: str
    """Hash of the card and of what the features are of."""


def read(place: str, packed: Packed, work: Path) -> Features | None:
    """Read the features that `embed` left at `place`, a folder or a URL.

    None where it was told to take no encoder.

    Raises:
        UserError: a file is missing or not readable, or they are of other samples than `packed`.
    """
    folder = storage.mirror(place, work)
    if (folder / manifest.STATS).is_file() and not (folder / CARD).is_file():
        return None
    card = read_card(folder)
    table = read_table(folder)
    index = packed.index
    if (
        table["sample_id"].to_pylist() != index["sample_id"].to_pylist()
        or table["sha256"].to_pylist() != index["sha256"].to_pylist()
    ):
        raise UserError(f"{place}: not of the samples in {packed.place}; run dvc repro embed")
    values = gather(folder, table)
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
    digest.update(packed.index_sha256.encode())
    return Features(values, card, digest.hexdigest())


def read_card(folder: Path) -> dict[str, Any]:
    """What `encoder.json` of a folder says of the encoder.

    Raises:
        UserError: it is missing or not readable.
    """
    path = folder / CARD
    try:
        card = json.loads(path.read_text())
        _ = card["architecture"], card["provenance"], card["pictures"]
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; run dvc repro embed or dvc pull") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not readable ({error!r}); run dvc repro embed") from error
    return dict(card)


def read_table(folder: Path) -> pa.Table:
    """The index of a folder, a row a sample.

    Raises:
        UserError: it is missing, not readable or of another schema.
    """
    path = folder / INDEX
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; run dvc repro embed or dvc pull") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not readable ({error}); run dvc repro embed") from error
    if table.schema.names != INDEX_SCHEMA.names:
        raise UserError(f"{path}: of another schema; run dvc repro embed")
    return table


def gather(folder: Path, table: pa.Table) -> NDArray[np.float16]:
    """The features (N, K, F) of the rows of an index.

    Raises:
        UserError: a shard is missing, not readable, or shorter than the index says.
    """
    names = table["shard"].to_numpy(zero_copy_only=False)
    rows = table["row"].to_numpy()
    parts: dict[str, NDArray[np.float16]] = {}
    for name in dict.fromkeys(names.tolist()):
        path = folder / name
        try:
            part = np.load(path, allow_pickle=False)
        except FileNotFoundError as error:
            raise UserError(f"{path}: missing; run dvc checkout or dvc repro embed") from error
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"{path}: not readable ({error}); run dvc checkout") from error
        if part.ndim != 3 or part.dtype != np.float16 or len(part) <= rows[names == name].max():
            raise UserError(
                f"{path}: {part.dtype} {part.shape} is not what {INDEX} beside it says; run dvc "
                "checkout or dvc repro embed"
            )
        parts[name] = part
    shape = next(iter(parts.values())).shape[1:]
    values = np.empty((len(table), *shape), np.float16)
    for name, part in parts.items():
        values[names == name] = part[rows[names == name]]
    return values
