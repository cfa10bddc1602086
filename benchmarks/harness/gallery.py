"""One Markdown page of what every benchmark found, with the pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .report import Report, cell

ROWS = 30
"""As many rows of a table as a page shows; the JSON file has all."""


@dataclass(frozen=True)
class ScriptOutcome:
    """The outcome of one script.

    Attributes:
        name: the script's.
        claim: the claim of the chapter that it tests, as "S8"; empty if it tests another one.
        seconds: that it took.
        report: what it found; None if it failed before.
        error: what it failed with; empty if it did not.
        files: names of the files that it wrote, pictures and data, relative to the page.
    """

    name: str
    claim: str
    seconds: float
    report: Report | None = None
    error: str = ""
    files: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """One word: "error", too, if a picture failed, for then the page is not whole."""
        return "error" if self.error or self.report is None else "holds" if self.report.holds else "refuted"


def page(outcomes: Sequence[ScriptOutcome], head: Mapping[str, str]) -> str:
    """The whole page: a summary, the machine, and a section a script.

    >>> print(page([ScriptOutcome("reuse", "S8", 1.5, error="no luck")], {"seed": "0"}).splitlines()[2])
    Of 1 claims, 0 hold and 0 are refuted; 1 ended in an error.
    """
    counts = {word: sum(o.verdict == word for o in outcomes) for word in ("holds", "refuted", "error")}
    summary = [
        (f"[{o.name}](#{o.name})", o.claim or "–", _emphasised(o.verdict), _question(o), f"{o.seconds:.1f}")
        for o in outcomes
    ]
    parts = [
        "# What the benchmarks show",
        f"Of {len(outcomes)} claims, {counts['holds']} hold and {counts['refuted']} are refuted; "
        f"{counts['error']} ended in an error.",
        table(("script", "claim", "verdict", "question", "time [s]"), summary),
        "S1 to S11 are the claims of the chapter; those that have no script here are shown by tests alone.",
        table(("made on", ""), ((key, plain(value)) for key, value in head.items())),
        *(section(o) for o in outcomes),
    ]
    return "\n\n".join(parts) + "\n"


def section(outcome: ScriptOutcome) -> str:
    """One script: its question, claim and verdict, the figures that decide, table and picture."""
    parts = [f"## {outcome.name}"]
    report = outcome.report
    if report is not None:
        parts += [
            f"**{plain(report.question)}**",
            f"*Claim{f' ({outcome.claim})' * bool(outcome.claim)}.* {plain(report.claim)}",
            f"*Refuted by* {plain(report.refuted_by)}",
            f"*Verdict:* {_emphasised('holds' if report.holds else 'refuted')}.",
        ]
        parts += [f"![{plain(report.question)}]({name})" for name in outcome.files if name.endswith(".png")]
        if report.figures:
            figures = ((plain(str(key)), plain(cell(value))) for key, value in report.figures.items())
            parts.append(table(("figure", "value"), figures))
        parts += _rows(report, next((name for name in outcome.files if name.endswith(".json")), ""))
    if outcome.error:
        parts += ["*It ended in an error:*", fenced(outcome.error)]
    return "\n\n".join([*parts, f"`python -m benchmarks {outcome.name} --full` measures it again, at its full size."])


def _rows(report: Report, data: str) -> list[str]:
    """The table, cut to what a page shows, and what is left out."""
    shown = report.shown[:ROWS]
    body = table(
        [plain(heading) for heading in report.columns.values()],
        ([plain(cell(row[key])) for key in report.columns] for row in shown),
        [isinstance(shown[0][key], int | float) for key in report.columns],
    )
    more = (len(report.rows) if report.digest else len(report.shown)) - len(shown)
    if more <= 0:
        return [body]
    where = f"[JSON]({data})" if data else "JSON"
    if report.digest:
        return [body, f"A digest of {len(report.rows):,} rows, see {where}."]
    return [body, f"… and {more:,} more, see {where}."]


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[bool] = ()) -> str:
    r"""A Markdown table of cells that are Markdown already; columns of numbers are set to the right.

    >>> print(table(("a", "b"), [("1", plain("x|y"))], numbers=(True, False)))
    | a | b |
    |---:|---|
    | 1 | x\|y |
    """
    head, *body = ("| " + " | ".join(line) + " |" for line in (headings, *rows))
    rules = ["---:" if right else "---" for right in numbers or [False] * len(headings)]
    return "\n".join([head, "|" + "|".join(rules) + "|", *body])


def plain(text: str) -> str:
    r"""Text that Markdown shows as it is, also within a cell of a table.

    >>> plain("max|a′| of d_h\nis 2*3 < 7")
    'max\\|a′\\| of d\\_h is 2\\*3 \\< 7'
    """
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", " ".join(text.split()))


def fenced(text: str) -> str:
    """Text in a code block that nothing in it can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"


def _emphasised(verdict: str) -> str:
    return verdict if verdict == "holds" else f"**{verdict}**"


def _question(outcome: ScriptOutcome) -> str:
    return plain(re.sub(r"^S\d+: ", "", outcome.report.question)) if outcome.report else "–"
