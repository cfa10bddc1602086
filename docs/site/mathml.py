"""Typeset formulas as MathML when the site is built: browsers draw it by themselves, without a script or a font."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_FENCES = re.compile(r"<mo((?: [^>]*)?>(?:&#x0007C;|&#x0002F;)</mo>)")
"""Bars and slashes, which browsers would set apart from what they enclose or divide, as binary operators."""
_FUNCTIONS = re.compile(r"<mi>([a-z]{2,})</mi>(<mo[^>]*>&#x00028;)?")
"""Names of functions, which are set apart from what stands beside them, but for a parenthesis."""
THIN = "0.167em"
LONG = 50
"""Letters of a formula within a line that may be wider than a narrow screen, and scrolls by itself."""


def mathml(latex: str, display: str) -> str:
    r"""A formula as a `math` element.

    Raises:
        ExtensionError: it has a command that the converter does not know, which it would show as it is written.

    >>> mathml(r"x^2", "inline").partition(">")[0].split()[0]
    '<math'
    >>> mathml(r"\nocommand{x}", "inline")
    Traceback (most recent call last):
        ...
    sphinx.errors.ExtensionError: \nocommand is not known to latex2mathml, in '\\nocommand{x}'
    """
    made = convert(latex.replace("{aligned}", "{align*}"), display=display)
    unknown = re.search(r"\\[a-zA-Z]+", made)
    if unknown:
        raise ExtensionError(f"{unknown[0]} is not known to latex2mathml, in {latex!r}")
    made = _FENCES.sub(r'<mo lspace="0" rspace="0"\1', made)
    return _FUNCTIONS.sub(_set_apart, made)


def _set_apart(name: re.Match[str]) -> str:
    behind = "0" if name[2] else THIN
    return f'<mo lspace="{THIN}" rspace="{behind}">{name[1]}</mo>{name[2] or ""}'


def _inline(writer: Any, node: nodes.math) -> None:
    made = mathml(node.astext(), "inline")
    long = len(node.astext()) > LONG
    writer.body.append(f'<span class="formula inline" tabindex="0">{made}</span>' if long else made)
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="formula" tabindex="0">{mathml(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Let Sphinx use it: `html_math_renderer = "mathml"`."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
