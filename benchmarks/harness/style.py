"""The style of every picture: greys, so that it reads in print and by any eye; markers and lines differ besides."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from PIL import Image

mpl.use("Agg")
from matplotlib import pyplot as plt

GREY = (("0", "o", "-"), ("0.35", "s", "--"), ("0.55", "^", "-."), ("0.7", "D", ":"))
"""Shade, marker and line of each curve: told apart without colour."""
INK, PALE, PAPER = "#1a1a1a", "#d0d0d0", "#ffffff"
"""What is said, what is behind it, and the page, which a picture brings so that it reads on a dark one."""
mpl.rcParams.update({
    "axes.spines.top": False, "axes.spines.right": False, "figure.facecolor": PAPER, "axes.facecolor": PAPER,
    "text.color": INK, "axes.labelcolor": INK, "legend.frameon": False,
})  # fmt: skip


def panels(count: int, share_vertical: bool = True, rows: int = 1) -> tuple[Any, Any]:
    """A figure and its `count` panels side by side, or in rows."""
    columns = -(-count // rows)
    size = (1 + 4.5 * columns, 4.2 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, sharey=share_vertical, squeeze=False, layout="constrained")
    return figure, axes.ravel()


def guide(panel: Any, height: float, text: str) -> None:
    """A horizontal line that a curve is held against, and what it stands for, above its right end."""
    panel.axhline(height, color="0.5", lw=1, zorder=0)
    panel.annotate(
        text, (1, height), xycoords=("axes fraction", "data"), xytext=(-2, 3), textcoords="offset points",
        ha="right", va="bottom", color="0.3", fontsize="small",
    )  # fmt: skip


def save_picture(figure: Any, path: Path) -> None:
    """Write a figure and forget it.

    Its colours are counted down to a palette: the pictures are committed, and so are a third as large.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=150, bbox_inches="tight")
    plt.close(figure)
    Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, "PNG", optimize=True)
