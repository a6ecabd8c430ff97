"""The page beside adapted weights: what a team's own files gained, and what that rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from pipeline.assess.page import pages
from pipeline.assess.page.figures import COLOURS
from pipeline.assess.wording import DASH, FEW_SOURCES, count, decimal, percent
from pipeline.system.visible_text import plain

_MOST_CHARACTERS = 300
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 1000, 330, 50, 170, 14, 44
_ALL = "all"
NEW, SHIFTED, UNCHANGED = "new", "shifted", "unchanged"
"""The layer of adapted weights, beside that of the weights before."""
_OF_LAYER = {
    NEW: "The weights have a new layer, for which each clip counts {weight:g} times one of "
    "training.",
    SHIFTED: "A new layer, for which each clip counted {weight:g} times one of training, is judged "
    "below. The weights have the layer before, with a constant added to the log odds of real.",
    UNCHANGED: "The weights have the layer before, unchanged.",
}
_CHOSEN = {
    NEW: "The weights in this folder have a new layer all the same, since the gain is larger than "
    "its standard error.",
    SHIFTED: "So the layer before was kept: the weights in this folder rank as those before do, "
    "and their P(real) is shifted to what was right on these files. Add sources, and look at the "
    "files told worst.",
}


@dataclass(frozen=True)
class FileRow:
    """A file of the collection, and how probable it is that it is real."""

    path: str
    origin: str
    source: str
    num_clips: int
    before: float
    """Probability by the detector as it was."""
    after: float | None
    """Probability by weights that saw nothing of its source; None where there are none."""

    @property
    def of_truth(self) -> float:
        """The probability of what it is, by the last who said something."""
        said = self.before if self.after is None else self.after
        return said if self.origin == "real" else 1 - said


def render(told: Mapping[str, Any], files: Sequence[FileRow], left_out: Sequence[str]) -> str:
    """The page; the same values give the same bytes.

    Args:
        told: what `metrics.json` holds.
        files: of the collection.
        left_out: a sentence for each file that was not learned from.
    """
    template = pages.environment().get_template("adapted.html.j2")
    return template.render(
        told=told,
        headline=_headline(told),
        warnings=_warnings(told),
        assumptions=_assumptions(told),
        folds=", together with others" if told["sources"] > FEW_SOURCES else "",
        comparison=_comparison(told),
        confidence=f"{100 * told['confidence']:g}",
        taken_wrongly=_taken_wrongly(told),
        curve=[_curve_row(point) for point in told["learning_curve"]],
        curve_caption=_curve_caption(told),
        plot=_plot(told["learning_curve"]),
        files=[_file_row(file) for file in sorted(files, key=lambda one: one.of_truth)],
        left_out=left_out,
        style=pages.part("report.css"),
    )


def _headline(told: Mapping[str, Any]) -> str:
    looked_at = f"{count(told['files'], 'file')} of {count(told['sources'], 'source')}"
    if _ALL not in told["gain"]:
        return f"What {looked_at} gain cannot be judged, and the layer is as it was"
    before, after = (told[key][_ALL] for key in ("before", "sources_left_out"))
    return (
        f"{'A' if told['gain'][_ALL]['is_shown'] else 'No'} gain is shown: real told from "
        f"fictional with AUROC {decimal(before['auroc'])} before and {decimal(after['auroc'])} by "
        f"a new layer, by file, on {looked_at} that the layer judged by had not seen"
    )


def _warnings(told: Mapping[str, Any]) -> list[str]:
    found = []
    if (gain := told["gain"].get(_ALL)) and not gain["is_shown"]:
        found.append(f"{_no_gain(gain)} {_CHOSEN[told['layer']]}")
    if told["no_learning_curve"]:
        found.append(told["no_learning_curve"])
    if told["sources"] < FEW_SOURCES:
        found.append(
            f"{count(told['sources'], 'source')} {'is' if told['sources'] == 1 else 'are'} fewer "
            f"than {FEW_SOURCES}: thin evidence. Take the numbers below for a hint, and judge the "
            "weights on footage from elsewhere."
        )
    return found


def _no_gain(gain: Mapping[str, Any]) -> str:
    """Say why a gain is not one that is shown."""
    if gain["value"] == 0:
        return "No gain is shown: the AUROC is the same."
    if gain["low"] is None:
        return f"No gain is shown: of {_signed(gain['value'])} no interval is known."
    if gain["high"] < 0:
        return (
            "Sources that it has not seen are ranked worse by a new layer than by that before: "
            f"the AUROC changes by {_gain(gain)}."
        )
    return f"No gain is shown: the AUROC changes by {_gain(gain)}, and the interval holds 0."


def _gain(gain: Mapping[str, Any]) -> str:
    """A difference of AUROCs with its interval, or with why it has none."""
    if gain["low"] is None:
        return f"{_signed(gain['value'])}, no interval: {gain['reason']}"
    return f"{_signed(gain['value'])} ({_signed(gain['low'])} to {_signed(gain['high'])})"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _assumptions(told: Mapping[str, Any]) -> list[str]:
    by_origin = ", ".join(
        f"{origin}: {count(told['files_by_origin'][origin], 'file')} of "
        f"{count(told['sources_by_origin'][origin], 'source')}"
        for origin in told["files_by_origin"]
    )
    found = [
        f"It looked at {count(told['clips'], 'clip')}, at most {told['clips_per_file']} a file "
        f"({by_origin}). {_OF_LAYER[told['layer']].format(weight=told['weight'])}",
        "It assumes that what the detector will be asked about comes from cameras, games and "
        "films like these, and that their labels are right.",
        "It assumes that files of one source share cameras, places or titles, and that different "
        "sources share none. Two names for one camera make the numbers below too good.",
        "Only the answer on the origin can change. What is said of a discharge is as it was, and "
        "was not looked at here.",
        "Alert thresholds were chosen for the weights before; evaluate these again before use.",
    ]
    if told["rendered_files"]:
        weight = told["rendered_weight"]
        counted = f"{weight:g} times as much as others" if weight else "nothing, and were left out"
        found.append(
            f"{count(told['rendered_files'], 'file')} that a computer rendered, by the column "
            f"rendered, counted {counted}, as in the training of the detector."
        )
    if known := len(told["known_files"]):
        was, them = ("was", "it") if known == 1 else ("were", "them")
        found.append(
            f"{count(known, 'file')} {was} left out because training had {them}, to the last bit "
            "of a clip: counted twice, and too well known to the detector as it was. A copy that "
            "was encoded anew, or cut at other frames, is not found."
        )
    return found


def _comparison(told: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for against, after in told["sources_left_out"].items():
        before = told["before"][against]
        is_thin = after["num_sources"] < FEW_SOURCES
        rows.append(
            [
                _named(against),
                decimal(before["auroc"]),
                decimal(after["auroc"]),
                _gain(told["gain"][against]),
                _percent(before["found"]),
                _percent(after["found"]),
                f"{after['num_real']:,} real and {after['num_fictional']:,} other files of "
                f"{count(after['num_sources'], 'source')}{': thin evidence' * is_thin}",
            ]
        )
    return rows


def _taken_wrongly(told: Mapping[str, Any]) -> str:
    """What a threshold of a half makes of P(real), before and after."""
    found = [
        f"{of['before']:,} of {count(of['files'], f'{side} file')} "
        f"{'was' if of['files'] == 1 else 'were'} taken for {other} before and {of['after']:,} "
        f"{'is' if of['after'] == 1 else 'are'} after"
        for side, other in (("fictional", "real"), ("real", "fictional"))
        if (of := told["taken_wrongly"][side])["files"]
    ]
    return f"With a threshold of 0.5 on P(real), {'; '.join(found)}." if found else ""


def _named(against: str) -> str:
    return "everything fictional" if against == _ALL else against


def _curve_caption(told: Mapping[str, Any]) -> str:
    points = told["learning_curve"]
    draws = max((point["draws"] for point in points), default=0)
    is_thin = all(point["num_sources"]["most"] < FEW_SOURCES for point in points)
    return (
        f"Of {count(draws, 'draw')}, each holds out a third of the sources of either side, fits "
        "a new layer to files of the others, taken in turns from their sources, and judges it on "
        "every file held out, whether or not such a layer was taken above. 0 files are the "
        "detector as it was. Shown are the mean and the range over draws, which share files and "
        "are no interval of confidence."
        + f" No draw judges {FEW_SOURCES} sources or more: thin evidence."
        * is_thin
    )


def _curve_row(point: Mapping[str, Any]) -> list[str]:
    auroc, found = point["auroc"], point["found"]
    return [
        f"{point['files']:,}",
        _whole(point["sources_drawn"]),
        _named(point["against"]),
        f"{decimal(auroc['mean'])}, {decimal(auroc['least'])} to {decimal(auroc['most'])}",
        f"{_percent(found['mean'])}, {_percent(found['least'])} to {_percent(found['most'])}",
        f"{_whole(point['num_real'])} real and {_whole(point['num_fictional'])} other files of "
        f"{_whole(point['num_sources'])} source{'s' * (point['num_sources']['most'] != 1)}, in "
        f"{count(point['draws'], 'draw')}",
    ]


def _percent(share: float) -> str:
    return percent(share).replace(" ", "\N{NO-BREAK SPACE}")


def _whole(values: Mapping[str, float]) -> str:
    least, most = values["least"], values["most"]
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _file_row(file: FileRow) -> list[str]:
    return [
        plain(file.path, _MOST_CHARACTERS),
        file.origin,
        plain(file.source, _MOST_CHARACTERS),
        f"{file.num_clips:,}",
        decimal(file.before),
        DASH if file.after is None else decimal(file.after),
        "right" if file.of_truth > 0.5 else "wrong",
    ]


def _plot(points: Sequence[Mapping[str, Any]]) -> Markup:
    """AUROC over files as SVG: a line of means and a band of ranges for each question."""
    sizes = sorted({point["files"] for point in points})
    if not sizes:
        return Markup()
    lowest = min(0.5, min(point["auroc"]["least"] for point in points))
    lowest = int(lowest * 10) / 10

    def x(files: int) -> float:
        step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(sizes) - 1)
        return round(_LEFT + step * sizes.index(files), 1)

    def y(auroc: float) -> float:
        return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - auroc) / (1 - lowest), 1)

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" font-size="14" fill="currentColor" '
        'aria-label="AUROC over the number of files learned from; the table below has the numbers">'
    ]
    for tenth in range(round(lowest * 10), 11):
        at = y(tenth / 10)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at}" y2="{at}" stroke="var(--grid)"/>'
            f'<text x="{_LEFT - 10}" y="{at + 5}" text-anchor="end">{tenth / 10:.1f}</text>'
        )
    for size in sizes:
        at = _HEIGHT - _BOTTOM + 20
        parts.append(f'<text x="{x(size)}" y="{at}" text-anchor="middle">{size}</text>')
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">'
        "files learned from</text>"
    )
    names = list(dict.fromkeys(point["against"] for point in points))
    for number, name in enumerate(names):
        own = [point for point in points if point["against"] == name]
        colour = COLOURS[number % len(COLOURS)]
        band = [(x(one["files"]), y(one["auroc"]["most"])) for one in own]
        band += [(x(one["files"]), y(one["auroc"]["least"])) for one in reversed(own)]
        line = [(x(one["files"]), y(one["auroc"]["mean"])) for one in own]
        label = escape(plain(_named(name), _MOST_CHARACTERS))
        at = _TOP + 16 + 22 * number
        parts.append(
            f'<polygon points="{_joined(band)}" fill="{colour}" opacity="0.13"/>'
            f'<polyline points="{_joined(line)}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
            + "".join(f'<circle cx="{a}" cy="{b}" r="4" fill="{colour}"/>' for a, b in line)
            + f'<text x="{_WIDTH - _RIGHT + 14}" y="{at}" fill="{colour}">{label}</text>'
        )
    return Markup("".join([*parts, "</svg>"]))


def _joined(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{a},{b}" for a, b in places)
