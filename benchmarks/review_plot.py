"""Draws what orders of a review find over the minutes of a day."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def plot(found: Mapping[str, Floats], minutes: float, path: Path) -> None:
    """Draw the share of the shootings' files found over the minutes of a day, as SVG.

    Args:
        found: shares by the name of an order, at equal steps of the minutes.
        minutes: of a day.
        path: of the picture.
    """
    width, height, left, top, right = 640, 380, 60, 20, 190
    colours = ("#1f5fc4", "#1c6b3f", "#6b3fa0", "#7a4b00", "#a4342f", "#5b6472")
    shapes = []

    def x(share: float) -> float:
        return left + share * (width - left - right)

    def y(share: float) -> float:
        return top + (1 - share) * (height - top - 50)

    def text(at: tuple[float, float], words: str, colour: str = "black", anchor: str = "") -> None:
        shapes.append(
            f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" fill="{colour}" '
            f'text-anchor="{anchor or "start"}">{words}</text>'
        )

    for share in np.linspace(0, 1, 6):
        shapes.append(
            f'<line x1="{left}" x2="{x(1):.1f}" y1="{y(share):.1f}" y2="{y(share):.1f}" '
            'stroke="#ddd"/>'
        )
        text((left - 8, y(share) + 4), f"{100 * share:.0f} %", anchor="end")
        text((x(share), height - 30), f"{share * minutes:.0f}", anchor="middle")
    text((x(0.5), height - 8), "minutes of review a day", anchor="middle")
    heights = [y(float(files[-1])) for files in found.values()]
    # Names next to the ends of their lines, and not over each other.
    for place in np.argsort(heights)[1:].tolist():
        above = [h for h in heights if h < heights[place] or h == heights[place]]
        above.remove(heights[place])
        heights[place] = max(heights[place], max(above, default=-99) + 14)
    for (name, files), colour, at in zip(found.items(), colours, heights, strict=True):
        grid = np.linspace(0, 1, len(files))
        points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(grid, files, strict=True))
        shapes.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        text((x(1) + 8, at + 4), name, colour)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(shapes)}</svg>\n"
    )
