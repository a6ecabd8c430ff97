"""Scores batches of a data frame, for engines such as Ray Data and Daft that have their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from pipeline import app
from pipeline.commands.score import rows
from pipeline.commands.score.listing import HASHES, SOURCE, ListingRow
from pipeline.commands.score.settings import ScoringSettings
from pipeline.config import ScoreApp


def settings_of(*overrides: str) -> ScoringSettings:
    """Settings to make `ScoreFiles` of, wherever that is; read them in the folder of a project.

    Args:
        overrides: such as `"miss_rate=null"`; relative paths of files begin from the folder.
    """
    cfg = app.compose("score", *overrides)
    assert isinstance(cfg, ScoreApp)
    return ScoringSettings.of(cfg, Path.cwd())


class ScoreFiles:
    """Scores the files that the rows of a table name; a process needs one of it."""

    def __init__(self, settings: ScoringSettings) -> None:
        self._settings = settings
        # The engine has its own workers.
        self._run = replace(settings.cfg.run, executor="serial", num_workers=0, progress=False)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Score a batch.

        Args:
            batch: with the columns `id` and `uri`, and perhaps `sha256`, `md5` and `source`.

        Returns:
            A row of `rows.SCHEMA` for every row, in order.
        """
        given = [
            ListingRow(
                str(row["id"]),
                row["uri"],
                **{name: (row.get(name) or "").lower() for name in HASHES},
                source=row.get(SOURCE) or "",
            )
            for row in batch.to_pylist()
        ]
        return rows.table(list(self._settings.scoring().rows(given, self._run)))
