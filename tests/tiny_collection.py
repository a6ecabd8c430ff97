"""Writes the six files of `tiny_rows`: `python -m tests.tiny_collection <folder>`."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.footage.collection import IndexRow
from tests.conftest import write_collection


def tiny_rows() -> list[IndexRow]:
    """Three recordings of a real and three of a fictional source, two of each with discharges."""
    return [
        IndexRow(
            path=f"{origin}-{number}.mp4",
            origin=origin,
            source=f"{origin}-source",
            discharge=number > 0,
            licence="CC0-1.0",
            discharges_s=(0.2, 1.3) if number else (),
        )
        for origin in ("real", "game")
        for number in range(3)
    ]


if __name__ == "__main__":
    write_collection(Path(sys.argv[1]), tiny_rows())
