"""The model card of a detector, after Mitchell et al., "Model Cards for Model Reporting", 2019."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from pipeline.assess import wording
from pipeline.assess.audit.facts import DataFacts
from pipeline.assess.evidence import Section
from pipeline.assess.oversight.gaps import gaps
from pipeline.assess.oversight.markdown import MAX_SENTENCE, render, safe, table
from pipeline.assess.page import findings
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.questions import tpr_key
from pipeline.assess.statistics.summary import Summary
from pipeline.learn.model_card import ModelCard
from pipeline.store.manifest import CLASSES
from pipeline.store.sound import SOUND_HZ

_STATES = {"green": "good", "amber": "with care", "red": "fault", "grey": "not known"}


def model_card(
    heading: str,
    unit: str,
    sections: Mapping[str, Section],
    metrics: Mapping[str, Summary],
    card: ModelCard,
    config: Mapping[str, Any],
    data: DataFacts,
) -> str:
    """The card as Markdown; see `bundle.write_bundle`."""
    clip_s = card.clip.num_frames / card.clip.fps
    return render(
        "model_card.md.j2",
        heading=heading,
        verdict=findings.verdict(metrics, unit),
        examined=findings.faults([one.state for one in sections.values()]),
        faults=", ".join(name for name, one in sections.items() if one.state == "red"),
        warning=findings.warning(metrics),
        details=_details(card, clip_s),
        sources=_sources(metrics),
        metrics=_metrics(metrics),
        evaluated=_evaluated(data, metrics),
        learned_from=findings.learned_from(card.encoders, card.footage, card.sound_encoders),
        trained=_trained(card),
        analyses=_analyses(sections),
        limits=list(dict.fromkeys([*findings.limits(metrics, unit, clip_s), *gaps(data)])),
        training=card.config,
        config=config,
    )


def _details(card: ModelCard, clip_s: float) -> Markup:
    form = card.clip
    shape = f"{form.num_frames} frames of {form.size} x {form.size} pixels"
    sound = f"their sound at {SOUND_HZ // 1000} kHz, mono" if card.sound_encoders else "no sound"
    rows = [
        ("Network", safe(card.name)),
        ("Input", f"{shape}, {form.fps:g} a second ({clip_s:.2f} s), {sound}"),
        ("Output", f"probabilities of {safe(', '.join(CLASSES))}"),
        ("Calibration", f"temperature {card.temperature:g}, fitted on the validation split"),
        ("Memory of streams", _memory(card)),
        ("Weights", f"SHA-256 `{safe(card.weights_sha256)}`"),
        *(
            ("Trained elsewhere", f"a frozen part: {safe(name)}, SHA-256 `{safe(str(digest))}`")
            # Older weights have none and don't say so.
            for name, digest in card.everything.get("pretrained", {}).items()
        ),
        *(
            ("Trained on", f"{safe(name)}, SHA-256 `{safe(str(digest))}`")
            for name, digest in card.samples_sha256.items()
        ),
        ("Licence", "of the weights: not stated here; whoever publishes them has to"),
        ("Contact", "not stated here; whoever publishes them has to"),
    ]
    return table(["What", "Which"], rows)


def _memory(card: ModelCard) -> str:
    if card.memory is None:
        return "none: their last clip alone counts"
    return (
        f"evidence {card.memory.origin_s:g} s old counts for 1/e for the origin, and "
        f"{card.memory.discharge_s:g} s old for the discharge; clips of a recording are taken to "
        f"agree on the origin with a correlation of {card.memory.lasting:g}"
    )


def _sources(metrics: Mapping[str, Summary]) -> Markup:
    rows = [
        [
            safe(part),
            safe(name),
            safe(source.origin_label) + (", rendered" if source.rendered else ""),
            f"{source.num_examples:,}",
            f"{source.num_recordings:,}",
            _measured("auroc", source.shooting["auroc"]),
            _measured(tpr_key(0.01), source.false_alarms),
        ]
        for part, found in metrics.items()
        for name, source in found.sources.items()
    ]
    columns = ["Part", "Source", "Origin", "Judged", "Recordings", "AUROC", "False alarms"]
    return table(columns, rows)


def _metrics(metrics: Mapping[str, Summary]) -> Markup:
    rows = [
        [
            safe(part),
            wording.QUESTION_NAMES[question],
            wording.METRIC_NAMES[name],
            _measured(name, found.questions[question][name]),
        ]
        for part, found in metrics.items()
        for question in wording.QUESTION_NAMES
        for name in wording.METRIC_NAMES
    ]
    return table(["Part", "Question", "Metric", "Value and interval"], rows)


def _measured(metric: str, found: Measured) -> str:
    interval = safe(wording.interval(metric, found))
    return f"{wording.number(metric, found.value)}{f' ({interval})' * bool(interval)}"


def _evaluated(data: DataFacts, parts: Iterable[str]) -> Markup:
    rows = [
        [
            safe(split),
            f"{sum(kinds.values()):,}",
            *(f"{number:,}" for number in kinds.values()),
        ]
        for split, kinds in data.clips_by_class.items()
        if split in parts
    ]
    columns = ["Part", "Clips", *(name.capitalize() for name in wording.CLASS_NAMES.values())]
    return table(columns, rows)


def _trained(card: ModelCard) -> Markup:
    rows = [
        [
            *(safe(row[name]) for name in ("source", "origin", "licence")),
            safe(row["authority"]) or "not given",
            f"{row['train']:,}",
            f"{row['val']:,}",
        ]
        for row in card.footage
    ]
    columns = ["Source", "Origin", "Licence", "Authority", "Clips to train", "Clips to choose by"]
    return table(columns, rows)


def _analyses(sections: Mapping[str, Section]) -> Markup:
    rows = [
        [
            safe(suite.replace("_", " ")),
            safe(verdict.name.replace("_", " ")),
            _STATES[verdict.state],
            safe(verdict.says, MAX_SENTENCE),
        ]
        for suite, found in sections.items()
        for verdict in found.verdicts
    ]
    return table(["Suite", "Question", "Verdict", "What was found"], rows)
