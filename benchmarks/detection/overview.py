"""The picture of the top README: what each checker lets through, from the committed figures of the last full run.

``python -m benchmarks.detection.overview`` draws `docs/checkers.svg` again from `benchmarks/campaigns/checkers.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import log10
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from ..harness.style import INK, PALE, PAPER

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "benchmarks" / "campaigns" / "checkers.json"
PICTURE = ROOT / "docs" / "checkers.svg"
OURS = "gradient-oracle"


def rows(figures: Mapping[str, Any]) -> list[tuple[str, float | None, str]]:
    """Checker and format, the smallest error that it always catches (None if none), and its false alarms; ours last.

    >>> rows({"checkers": [{"checker": "a", "always_caught_from": {"float64": 0.01, "float32": None},
    ...                     "false_alarms": 1, "correct": 2000}]})
    [('a', 0.01, '1 of 2,000'), ('a, float32', None, '')]
    """
    found = []
    for one in figures["checkers"]:
        for place, (name, least) in enumerate(one["always_caught_from"].items()):
            alarms = f"{one['false_alarms']:,} of {one['correct']:,}" if place == 0 else ""
            found.append((one["checker"] + ("" if name == "float64" else f", {name}"), least, alarms))
    return found


def picture(figures: Mapping[str, Any]) -> Figure:
    """A bar a checker: dark where every error is caught, pale where one may pass; its false alarms beside it."""
    found = rows(figures)
    largest, smallest = (log10(size) for size in figures["planted"])
    figure = Figure(figsize=(9, 3.6), facecolor=PAPER, layout="constrained")
    panel = figure.add_subplot(facecolor=PAPER)
    for place, (name, least, alarms) in enumerate(reversed(found)):
        caught = 0.0 if least is None else largest + 1 - log10(least)
        panel.barh(place, largest + 1 - smallest, height=0.62, color=PALE)
        panel.barh(place, caught, height=0.62, color=INK)
        weight = "bold" if name.startswith(OURS) else "normal"
        panel.text(-0.2, place, name, ha="right", va="center", color=INK, weight=weight)
        text = "none is always caught" if least is None else f"from {least:.0e}".replace("e-0", "e-")
        inside = caught > 6
        panel.text(
            caught + (-0.15 if inside else 0.15), place, text, ha="right" if inside else "left", va="center",
            color=PAPER if inside else INK, weight=weight,
        )  # fmt: skip
        panel.text(largest + 1.3 - smallest, place, alarms, va="center", color=INK, weight=weight)
    top = len(found) - 0.35
    panel.text(0, top, "relative error planted: dark is always caught, pale may pass", va="bottom", color=INK)
    panel.text(largest + 1.3 - smallest, top, "called wrong of\ncorrect gradients", va="bottom", color=INK)
    ticks = range(0, round(largest - smallest) + 2, 2)
    panel.set_xticks(list(ticks), [f"1e{round(largest) + 1 - tick}" for tick in ticks])
    panel.set_xlim(0, largest + 4.6 - smallest)
    panel.set_ylim(-0.6, len(found) + 0.6)
    panel.set_yticks([])
    panel.tick_params(colors=INK)
    panel.spines[:].set_visible(False)
    return figure


def draw_overview(path: Path = PICTURE) -> None:
    """Write the picture; from the same figures come the same bytes."""
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "checkers", "font.family": "sans-serif"}):
        picture(figures).savefig(path, format="svg", metadata={"Date": None, "Title": "What checkers let through"})


if __name__ == "__main__":
    draw_overview()
