"""What is printed reaches any terminal, and an ending one changes no exit status.

Mathematics is written in its own letters; where the terminal's encoding has none of them, they are written by their
plain twins. A reader that closes the pipe has read enough: the command runs to its end all the same, and its status is
what it would have been.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata

from rich.console import Console

TWINS = {
    "σ": "sigma", "Σ": "sum", "Π": "product", "π": "pi", "Φ": "Phi", "φ": "phi", "α": "alpha", "β": "beta",
    "γ": "gamma", "δ": "delta", "Δ": "Delta", "ε": "eps", "η": "eta", "θ": "theta", "κ": "kappa", "λ": "lambda",
    "μ": "mu", "ξ": "xi", "₋": "-", "혁": "Hyeok", "펜": "pen", "하": "ha", "임": "im",
    "ρ": "rho", "τ": "tau", "χ": "chi", "ψ": "psi", "∂": "d", "∇": "grad ", "∞": "inf", "√": "sqrt", "∈": " in ",
    "∉": " not in ", "≠": "!=", "≤": "<=", "≥": ">=", "≪": "<<", "±": "+-", "×": "*", "·": "*", "∘": "*", "−": "-",
    "–": "-", "∓": "-+", "→": "->", "←": "<-", "↦": "->", "…": "...", "⋯": "...", "‖": "||", "⟨": "<", "⟩": ">",
    "⌈": "ceil(", "⌉": ")", "′": "'", "″": "''", "‴": "'''", "ᵀ": "^T", "⁻": "^-", "§": "section ",
    "─": "-", "━": "=", "│": "|", "┃": "|", "╱": "/", "╲": "\\", "╳": "x",
}  # fmt: skip
"""A letter of mathematics, and what it is written as where there is none."""
CORNERS = "┌┐└┘├┤┬┴┼┏┓┗┛┡┩┣┫┳┻╇╈╋┠┨╭╮╰╯╞╡╪╘╛╤╧"
"""Lines that meet in a table."""
PLAIN = "gradient_oracle_plain"
"""The name of the error handler that writes twins."""


def twin(letter: str) -> str:
    r"""A letter in ASCII: its twin, or itself without accents, or "?".

    >>> twin("σ"), twin("┼"), twin("é"), twin("²"), twin("\u732b")
    ('sigma', '+', 'e', '2', '?')
    """
    if letter in TWINS:
        return TWINS[letter]
    if letter in CORNERS:
        return "+"
    if unicodedata.combining(letter):
        return ""
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain or "?"


def _written_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(twin, error.object[error.start : error.end])), error.end


codecs.register_error(PLAIN, _written_plainly)


class LastingConsole(Console):
    """A console whose reader may go: what is left to print is dropped, and the command goes on."""

    def on_broken_pipe(self) -> None:
        """Print no more; rich's own console ends the program with status 1."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def consoles() -> tuple[Console, Console]:
    """Those of results and of errors, on streams that take every letter."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape", "backslashreplace"):
            stream.reconfigure(errors=PLAIN)
    return LastingConsole(), LastingConsole(stderr=True)
