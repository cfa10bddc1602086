"""The picture of the benchmark of detection: how small an error each checker still catches, and at what price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from pathlib import Path
from typing import Any

from ..harness.report import Report
from ..harness.style import GREY, panels, save_picture
from . import power
from .caught import LEAST, of_checker, share_caught, smallest_caught, typical_seconds
from .checkers import CHECKERS

OURS = CHECKERS[0].name
SLOW = "torch gradcheck, slow"
STYLES: Mapping[str, tuple[str, str, str]] = {
    OURS: ("0", "o", "-"),
    SLOW: ("0", "s", "--"),
    "torch gradcheck, fast": ("0", "D", ":"),
    "JAX check_grads": ("0.4", "^", "-."),
    "autograd check_grads": ("0.6", "v", "--"),
    "SciPy check_grad": ("0.6", "P", ":"),
}
"""Shade, marker and line of each checker; the certified check lies on the plain one."""


def picture(report: Report, path: Path) -> None:
    """The share of relative errors that each checker catches, by size; what passes by format; time, alarms."""
    figure, axes = panels(3, share_vertical=False)
    figure.set_size_inches(19, 4.8)
    rows = [row for row in report.rows if "checker" in row]
    alarms = next((row for row in report.digest if row["what"] == "false alarms"), {})
    curves(axes[0], rows)
    formats(axes[1], [row for row in report.rows if "power" in row])
    prices(axes[2], rows, alarms)
    ours, slow = (smallest_caught(of_checker(rows, name), "float64") for name in (OURS, SLOW))
    figure.suptitle(
        f"Every error is caught from {_power(ours)} on by this checker, from {_power(slow)} on by gradcheck"
    )
    save_picture(figure, path)


def curves(panel: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Share caught against the error planted, in float64; each curve ends where it comes to 0."""
    for name, (shade, marker, line) in STYLES.items():
        share = dict(reversed(share_caught(of_checker(rows, name), "float64").items()))
        seen = [size for size, caught in share.items() if caught > 0]
        shown = [size for size in share if not seen or size >= min(seen) / 11]
        style = {"color": shade, "marker": marker, "ls": line, "fillstyle": "full" if name == OURS else "none"}
        width = 2.5 if name == OURS else 1.3
        panel.plot(shown, [share[size] for size in shown], lw=width, label=name, **style)
    panel.set_xscale("log")
    panel.invert_xaxis()
    panel.axvline(LEAST["float64"], color="0.85", lw=8, zorder=0)
    panel.text(LEAST["float64"] * 4, 0.02, "claimed", ha="right", color="0.4")
    panel.set_xlabel("relative error planted in a layer's derivative, a column, an element (float64)")
    panel.set_ylabel("share caught")
    panel.legend(loc="center", bbox_to_anchor=(0.6, 0.45), frameon=False)


def formats(panel: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Share that this check lets through on 64-64-64-10, by format, beside the goal of each."""
    for (name, goal), (shade, marker, line) in zip(power.GOALS.items(), GREY, strict=True):
        share = power.share_caught(rows, name)
        style = {"color": shade, "marker": marker, "ls": line}
        panel.plot(list(share), [1 - caught for caught in share.values()], lw=1.5, label=name, **style)
        panel.axvline(goal, color=shade, ls=line, lw=0.8)
    panel.set_xscale("log")
    panel.invert_xaxis()
    panel.set_xlabel("relative error, network 64-64-64-10, 32 examples; thin lines: goals")
    panel.set_ylabel("share that this check lets through")
    panel.legend(loc="center left", frameon=False)


def prices(panel: Any, rows: Sequence[Mapping[str, Any]], alarms: Mapping[str, str]) -> None:
    """Time a check and false alarms over correct gradients, a line per checker."""
    taken = {c.name: 1e3 * typical_seconds(of_checker(rows, c.name)) for c in CHECKERS}
    for place, (name, milliseconds) in enumerate(reversed(taken.items())):
        panel.barh(place, milliseconds, height=0.6, color="0.15" if name.startswith(OURS) else "0.75")
        wrong, _, given = alarms.get(name, "–").partition("/")
        text = (
            f" {milliseconds:.0f} ms; false alarms: {wrong} of {int(given):,}" if given else f" {milliseconds:.0f} ms"
        )
        panel.text(milliseconds, place, text, va="center", fontsize=9)
    panel.set_yticks(range(len(taken)), list(reversed(taken)))
    panel.set_xlim(0, 2.2 * max(t for t in taken.values() if t > 0))
    panel.set_xlabel("time of a check that finds nothing, network of 288 parameters [ms]")


def _power(size: float) -> str:
    """10 to a power, as mathematics has it; – where nothing is caught."""
    return f"$10^{{{round(log10(size))}}}$" if size > 0 else "–"
