"""The model card of a detector, after Mitchell et al., "Model Cards for Model Reporting", 2019."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.assess import wording
from pipeline.assess.audit.facts import DataFacts
from pipeline.assess.evidence import Section
from pipeline.assess.oversight.gaps import gaps
from pipeline.assess.oversight.markdown import block, bullets, safe, section, table
from pipeline.assess.page import findings
from pipeline.assess.statistics.measured import Measured
from pipeline.assess.statistics.questions import tpr_key

_MAX_SENTENCE = 1_000
_STATES = {"green": "good", "amber": "with care", "red": "fault", "grey": "not known"}


def model_card(
    heading: str,
    unit: str,
    sections: Mapping[str, Section],
    metrics: Mapping[str, Mapping[str, Any]],
    card: Mapping[str, Any],
    config: Mapping[str, Any],
    data: DataFacts,
) -> str:
    """The card as Markdown; see `bundle.write_bundle`."""
    form = card["preprocessing"]
    clip_s = form["num_frames"] / form["fps"]
    limits = [*findings.limits(metrics, unit, clip_s), *gaps(data)]
    faults = ", ".join(name for name, one in sections.items() if one.state == "red")
    examined = findings.faults([one.state for one in sections.values()])
    return "\n".join(
        [
            f"# Model card: {safe(heading)}\n",
            f"{safe(findings.verdict(metrics, unit), _MAX_SENTENCE)}\n",
            f"{examined}{': ' if faults else ''}{faults}.\n",
            f"**{safe(findings.warning(metrics), _MAX_SENTENCE)}**\n",
            section("Model details", _details(card, clip_s)),
            section("Intended use", _USE, "Out of scope:", bullets(_OUT_OF_SCOPE)),
            section("Factors", _FACTORS, _sources(metrics)),
            section("Metrics", _how_measured(config), _metrics(metrics)),
            section("Evaluation data", _evaluated(data, metrics)),
            section(
                "Training data",
                f"{safe(findings.learned_from(card), _MAX_SENTENCE)}\n",
                _trained(card),
            ),
            section("Quantitative analyses", *_analyses(sections)),
            section("Ethical considerations", bullets(_ETHICS)),
            section(
                "Caveats and recommendations",
                bullets([safe(line, _MAX_SENTENCE) for line in dict.fromkeys(limits)]),
                _ADVICE,
            ),
            section(
                "Configuration",
                "Of the training:",
                block(card["config"]),
                "Of the evaluation:",
                block(config),
            ),
        ]
    )


_USE = (
    "To put footage that may show a real shooting before human reviewers sooner. The score is the "
    "probability that a clip shows one; an alert is raised above a threshold that the platform "
    "sets by what its reviewers can bear. Meant for engineers of trust and safety, and for those "
    "who oversee them."
)
_OUT_OF_SCOPE = (
    "To remove, report or punish without a human who looked.",
    "To tell who is shown, whether an act was lawful, or what led to it; and as evidence in court.",
    "To find violence without firearms, weapons that are not fired, still pictures, or sounds.",
    "To say that footage is harmless: a low score is no all-clear.",
)
_FACTORS = (
    "What the score may depend on beside the question: the source (a camera fleet, a game title, a "
    "film, a generator), whether footage was rendered, viewpoint, light, resolution, overlays "
    "and edits of a re-upload. Each source that was judged:"
)
_ETHICS = (
    "Those whom footage shows did not ask for it. Previews in the report are small, grey and "
    "blurred unless someone asked for clear ones; no frame is sent to a tracker of experiments.",
    "A false alarm costs a reviewer's time and may expose footage of play or of police work; a "
    "miss leaves an attack to spread. The threshold trades one for the other: set it knowingly.",
    "Who knows the detector can film or edit so that it fails; the robustness section tells how "
    "well the edits of a re-upload do that, not what a determined attacker does.",
    "The same detector can be turned to finding footage of shootings in order to spread it.",
)
_ADVICE = (
    "Test on footage of your own platform before use, keep humans in the loop, measure false "
    "alerts after launch, and judge again whenever the footage or the weights change."
)


def _details(card: Mapping[str, Any], clip_s: float) -> str:
    form = card["preprocessing"]
    shape = f"{form['num_frames']} frames of {form['size']} x {form['size']} pixels"
    rows = [
        ("Network", safe(str(card["architecture"]["name"]))),
        ("Input", f"{shape}, {form['fps']:g} a second ({clip_s:.2f} s), no sound"),
        ("Output", f"probabilities of {safe(', '.join(card['classes']))}"),
        ("Calibration", f"temperature {card['temperature']:g}, fitted on the validation split"),
        ("Weights", f"SHA-256 `{safe(str(card['weights_sha256']))}`"),
        *(
            ("Trained elsewhere", f"a frozen part: {safe(name)}, SHA-256 `{safe(str(digest))}`")
            # Older weights have none and don't say so.
            for name, digest in card.get("pretrained", {}).items()
        ),
        *(
            ("Trained on", f"{safe(name)}, SHA-256 `{safe(str(digest))}`")
            for name, digest in card["data"]["sha256"].items()
        ),
        ("Licence", "of the weights: not stated here; whoever publishes them has to"),
        ("Contact", "not stated here; whoever publishes them has to"),
    ]
    return table(["What", "Which"], rows)


def _sources(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [
            safe(part),
            safe(name),
            safe(source["origin_label"]) + (", rendered" if source["rendered"] else ""),
            f"{source['num_examples']:,}",
            f"{source['num_recordings']:,}",
            _measured("auroc", source["shooting"]["auroc"]),
            _measured(tpr_key(0.01), source["false_alarms"]),
        ]
        for part, found in metrics.items()
        for name, source in found["sources"].items()
    ]
    columns = ["Part", "Source", "Origin", "Judged", "Recordings", "AUROC", "False alarms"]
    return table(columns, rows)


def _how_measured(config: Mapping[str, Any]) -> str:
    return (
        f"Intervals hold {100 * config['confidence']:g} % of {config['num_bootstrap']:,} resamples "
        "(fewer of very many examples) of whole recordings, since clips of one recording resemble "
        "each other. What the data cannot support is left out with the reason, and no number is "
        "given in its place."
    )


def _metrics(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [
            safe(part),
            wording.QUESTION_NAMES[question],
            wording.METRIC_NAMES[name],
            _measured(name, found[question][name]),
        ]
        for part, found in metrics.items()
        for question in wording.QUESTION_NAMES
        for name in wording.METRIC_NAMES
    ]
    return table(["Part", "Question", "Metric", "Value and interval"], rows)


def _measured(metric: str, found: Measured) -> str:
    interval = safe(wording.interval(metric, found))
    return f"{wording.number(metric, found.value)}{f' ({interval})' * bool(interval)}"


def _evaluated(data: DataFacts, parts: Iterable[str]) -> str:
    rows = [
        [
            safe(place),
            f"{sum(kinds.values()):,}",
            *(f"{number:,}" for number in kinds.values()),
        ]
        for place, kinds in data.clips_by_class.items()
        if place in parts
    ]
    columns = ["Part", "Clips", *(name.capitalize() for name in wording.CLASS_NAMES.values())]
    return f"{table(columns, rows)}\nWhere they come from stands in `datasheet.md`.\n"


def _trained(card: Mapping[str, Any]) -> str:
    rows = [
        [
            *(safe(row[name]) for name in ("source", "origin", "licence")),
            safe(row["authority"]) or "not given",
            f"{row['train']:,}",
            f"{row['val']:,}",
        ]
        for row in card["data"]["footage"]
    ]
    columns = ["Source", "Origin", "Licence", "Authority", "Clips to train", "Clips to choose by"]
    return table(columns, rows)


def _analyses(sections: Mapping[str, Section]) -> list[str]:
    rows = [
        [
            safe(suite.replace("_", " ")),
            safe(verdict.name.replace("_", " ")),
            _STATES[verdict.state],
            safe(verdict.says, _MAX_SENTENCE),
        ]
        for suite, found in sections.items()
        for verdict in found.verdicts
    ]
    return [table(["Suite", "Question", "Verdict", "What was found"], rows)]
