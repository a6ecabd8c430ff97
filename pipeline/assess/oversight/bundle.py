"""Writes `model_card.md`, `datasheet.md` and `croissant.json` beside a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.assess.audit.facts import DataFacts
from pipeline.assess.evidence import Section
from pipeline.assess.lineage import Hashes
from pipeline.assess.oversight.croissant import croissant
from pipeline.assess.oversight.datasheet import datasheet
from pipeline.assess.oversight.model_card import model_card
from pipeline.assess.statistics.summary import Summary
from pipeline.config import ClipFormat
from pipeline.learn.model_card import ModelCard

MODEL_CARD, DATASHEET, CROISSANT = "model_card.md", "datasheet.md", "croissant.json"


def write_bundle(
    folder: Path,
    *,
    heading: str,
    unit: str,
    sections: Mapping[str, Section],
    metrics: Mapping[str, Summary],
    card: ModelCard,
    config: Mapping[str, Any],
    data: DataFacts,
    clip: ClipFormat,
    hashes: Mapping[str, Hashes],
) -> None:
    """Write the bundle into a folder of reports; equal arguments give equal bytes.

    Args:
        folder: there already.
        heading: title of the report.
        unit: "clip" or "file": what was judged.
        sections: by suite.
        metrics: by split or collection.
        card: of the weights.
        config: of the evaluation, with `num_bootstrap` and `confidence`.
        data: the audit.
        clip: format of the clips.
        hashes: of `lineage.hash_stages`. Without those of the splits, as for a collection, there
            is no data set to describe and no `croissant.json`.
    """
    cards = {
        MODEL_CARD: model_card(heading, unit, sections, metrics, card, config, data),
        DATASHEET: datasheet(heading, data, clip),
    }
    if "splits" in hashes:
        cards[CROISSANT] = json.dumps(croissant(heading, data, hashes), indent=1) + "\n"
    for name, text in cards.items():
        (folder / name).write_text(text, encoding="utf-8")
