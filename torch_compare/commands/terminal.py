"""What is printed reaches any terminal, and an ending one changes no exit status.

Mathematics is written in its own letters; where the terminal's encoding has none of them, they are written by their
plain twins. A reader that closes the pipe has read enough: the command runs to its end all the same, and its status is
what it would have been.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from ..verdict.page import page

TWINS = {
    "σ": "sigma", "Σ": "sum", "Π": "product", "π": "pi", "Φ": "Phi", "φ": "phi", "α": "alpha", "β": "beta",
    "γ": "gamma", "δ": "delta", "Δ": "Delta", "ε": "eps", "η": "eta", "θ": "theta", "κ": "kappa", "λ": "lambda",
    "μ": "mu", "ξ": "xi", "₋": "-", "혁": "Hyeok", "펜": "pen", "하": "ha", "임": "im",
    "ρ": "rho", "τ": "tau", "χ": "chi", "ψ": "psi", "∂": "d", "∇": "grad ", "∞": "inf", "√": "sqrt", "∈": " in ",
    "∉": " not in ", "≠": "!=", "≤": "<=", "≥": ">=", "≪": "<<",
    "≫": ">>", "∫": "integral ", "⌊": "floor(", "⌋": ")", "±": "+-", "×": "*", "·": "*", "∘": "*", "⊗": "(x)", "−": "-",
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


STANDARD_OUTPUT = Path("-")
"""What stands for it after --json: the report is all that is written there, and the tables go to the other stream."""


class LastingConsole(Console):
    """A console whose reader may go: what is left to print is dropped, and the command goes on."""

    def on_broken_pipe(self) -> None:
        """Print no more; rich's own console ends the program with status 1."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def finish() -> None:
    """Write out what the streams still hold, or drop it if a reader is gone: else the interpreter exits with 120."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def write_report(text: str, path: Path) -> None:
    """Write a report to a file; one of JSON to the standard output if the path is `STANDARD_OUTPUT`.

    Halves of surrogate pairs, which names of files may hold, become JSON's escapes.

    Raises:
        OSError: the file cannot be written.
    """
    if path != STANDARD_OUTPUT:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    elif sys.stdout is not None:
        with suppress(BrokenPipeError):
            sys.stdout.write(json.dumps(json.loads(text), indent=1) + "\n")


def require_file(option: str, path: Path | None) -> None:
    """Raise ValueError if no file can be written to an option's path, before the work is done; `-` always can."""
    if path is None or path == STANDARD_OUTPUT:
        return
    if path.is_dir():
        raise ValueError(f"{option}: {path} is a folder; expected the path of a file")
    if not path.parent.is_dir():
        raise ValueError(f"{option}: there is no folder {path.parent}")
    _require_writable(option, path if path.exists() else path.parent)


def require_path(option: str, path: Path | None) -> None:
    """As `require_file`, of an option that does not go to the standard output."""
    if path == STANDARD_OUTPUT:
        raise ValueError(f"{option}: expected the path of a file; only --json goes to the standard output")
    require_file(option, path)


def require_apart(written: Mapping[str, Path | None], read: Mapping[str, Path] = MappingProxyType({})) -> None:
    """Raise ValueError if a file that is written, by its option, is another one of them or one that is read."""
    seen = {path.resolve(): name for name, path in read.items() if path != STANDARD_OUTPUT}
    for option, path in written.items():
        if path is None or path == STANDARD_OUTPUT:
            continue
        other = seen.setdefault(path.resolve(), option)
        if other != option:
            raise ValueError(f"{option}: {path} is the file of {other} already")


def require_html(option: str, path: Path | None) -> None:
    """As `require_path`; raises ModuleNotFoundError, which names the extra, where no page can be made."""
    require_path(option, path)
    if path is not None:
        page("")


def require_folder(option: str, path: Path) -> None:
    """Raise ValueError if no files can be written to a folder, or it cannot be made, before the work is done."""
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise ValueError(f"{option}: {there} is a file; expected a folder")
    _require_writable(option, there)


def _require_writable(option: str, path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise ValueError(f"{option}: {path} cannot be written to")


def consoles() -> tuple[Console, Console]:
    """Those of results and of errors, on streams that take every letter."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape", "backslashreplace"):
            stream.reconfigure(errors=PLAIN)
    return LastingConsole(), LastingConsole(stderr=True)
