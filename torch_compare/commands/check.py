"""`gradient-oracle check`: somebody's gradients of one case, or of a folder of cases, against the certified ones.

Exit status: 0 all agree; 1 one is wrong, imprecise or follows another convention (unless that is accepted); else 2 one
could not be read or is missing (unless that is accepted); else 3 one is unresolved.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.text import Text

from reference.arithmetic.formats import FORMATS

from ..cases.vectors import case_paths, edition
from ..files.case_file import read_case
from ..steps.step_file import is_step
from ..steps.step_result import judge_step
from ..verdict.checks import Verdict, check
from ..verdict.result_file import STANDARD_INPUT, read_result
from ..verdict.status import Status
from .check_junit import as_junit
from .check_page import as_html
from .check_report import NOT_JUDGED, Checked, as_json, print_leaves, print_summary, print_table, print_verdicts
from .exit_status import AGREES, BAD_INPUT, DISAGREES, UNRESOLVED
from .terminal import require_apart, require_file, require_html, require_path, write_report

SUFFIXES = (".json", ".safetensors")


def add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "check",
        help="judge gradients that any program computed of a case, in units of the rounding scale",
        description="Judge gradients of a case, or of a folder of cases: within the rounding of their precision or "
        "not, where they are furthest off, and which known mistake makes such gradients.",
        epilog="Example: gradient-oracle check vectors/activation_tanh.json result.json --json report.json",
    )
    command.add_argument(
        "case",
        type=Path,
        metavar="CASE",
        help="a case that `vectors` wrote, or a folder of them; or an optimiser's step that `write_step` wrote",
    )
    command.add_argument(
        "result",
        type=Path,
        metavar="RESULT",
        help="the gradients, as JSON or safetensors, - for the standard input; or a folder of them, named like cases",
    )
    command.add_argument(
        "--dtype",
        choices=tuple(FORMATS),
        help="what they were computed in (default: what RESULT says, or is stored in)",
    )
    command.add_argument(
        "--accumulate",
        choices=("float32", "same"),
        help="what sums of a precision coarser than float32 accumulate in (default: either will do)",
    )
    command.add_argument(
        "--strict",
        action="store_true",
        help="demand formulas that keep their digits: what the customary ones lose is imprecise",
    )
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write the report to FILE as JSON; - is the standard output"
    )
    command.add_argument("--html", type=Path, metavar="FILE", help="write the report to FILE as a page of HTML")
    command.add_argument(
        "--junit", type=Path, metavar="FILE", help="write the report to FILE as JUnit XML, a test for every case"
    )
    command.add_argument(
        "--no-diagnose",
        dest="diagnose",
        action="store_false",
        help="do not look for the mistake behind a wrong gradient",
    )
    command.add_argument(
        "--accept-conventions", action="store_true", help="let another slope at an exact kink count as agreeing"
    )
    command.add_argument(
        "--partial", action="store_true", help="of folders: let cases without a result count as agreeing"
    )


def run_check(options: argparse.Namespace, console: Console) -> int:
    """Judge, print and write the report; returns the exit status.

    Raises:
        ValueError: a file or folder is not what it should be; the message names it.
        OSError: one cannot be read or written.
    """
    require_file("--json", options.json)
    require_html("--html", options.html)
    require_path("--junit", options.junit)
    written = {"--json": options.json, "--html": options.html, "--junit": options.junit}
    require_apart(written, {"CASE": options.case, "RESULT": options.result})
    folders = [path for path in (options.case, options.result) if path.is_dir()]
    if len(folders) == 1:
        other = options.result if folders[0] == options.case else options.case
        raise ValueError(f"{folders[0]} is a folder and {other} is not: expected two files or two folders")
    if folders:
        checked = list(_judge_folder(options, console))
        print_table(checked, console)
    else:
        checked = [Checked(options.case.stem, _judge(options.case, options.result, options))]
        print_leaves(checked[0], console)
    print_verdicts([one for one in checked if one.status != Status.AGREES or not folders], console)
    found = edition(case_paths(options.case) if folders else [options.case])
    if found is not None:
        console.print(Text(str(found)), style="dim", soft_wrap=True)
    judged = partial(exit_status, accept_conventions=options.accept_conventions, partial=options.partial)
    status = judged(checked)
    print_summary(checked, status, console)
    if options.json is not None:
        write_report(as_json(checked, status, found), options.json)
    if options.html is not None:
        paths = str(options.case), str(options.result)
        write_report(as_html(checked, paths, status, found), options.html)
    if options.junit is not None:
        text = as_junit(checked, str(options.result), lambda one: judged([one]), partial=options.partial)
        write_report(text, options.junit)
    return status


def exit_status(checked: Iterable[Checked], *, accept_conventions: bool = False, partial: bool = False) -> int:
    """The exit status of what was checked.

    >>> exit_status([Checked("relu", reason="no result", missing=True)]), exit_status([])
    (2, 2)
    """
    good = {Status.AGREES, Status.ANOTHER_CONVENTION} if accept_conventions else {Status.AGREES}
    judged = {one.status for one in checked if not (partial and one.missing)}
    if judged - good - {NOT_JUDGED, Status.UNRESOLVED}:
        return DISAGREES
    if NOT_JUDGED in judged or not judged:
        return BAD_INPUT
    return UNRESOLVED if Status.UNRESOLVED in judged else AGREES


# ── judging ──────────────────────────────────────────────────────────────────────────────────────────


def _judge(case_path: Path, result_path: Path, options: argparse.Namespace) -> Verdict:
    """The verdict on one result; ValueError names the file that is at fault."""
    if is_step(case_path):
        return _named(
            case_path, lambda: judge_step(case_path, result_path, dtype=options.dtype, diagnose=options.diagnose)
        )
    case = _named(case_path, lambda: read_case(case_path))
    result = _named(result_path, lambda: read_result(result_path, case.problem, options.dtype))
    if result.case is not None and result.case != case.name:
        raise ValueError(f"{result_path}: case: expected {case.name!r}, got {result.case!r}")
    return _named(
        result_path,
        lambda: check(
            case.problem,
            result.given,
            options.dtype or result.dtype,
            accumulate=options.accumulate or result.accumulate,
            certified=case.certified,
            diagnose=options.diagnose,
            **_strict(options),
        ),
    )


def _strict(options: argparse.Namespace) -> dict[str, Any]:
    return {"strict": True} if options.strict else {}


def _named(path: Path, read: Any) -> Any:
    """The result of `read`; its error, if it raises one, as a ValueError that begins with the path."""
    name = "standard input" if path == STANDARD_INPUT else str(path)
    try:
        return read()
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror or error}") from None
    except (ValueError, TypeError) as error:
        text = str(error)
        raise ValueError(text if text.startswith(name) else f"{name}: {text}") from None


def _judge_folder(options: argparse.Namespace, console: Console) -> Iterator[Checked]:
    cases = {path.stem: path for path in case_paths(options.case)}
    if not cases:
        raise ValueError(f"{options.case}: no cases in this folder")
    results: dict[str, list[Path]] = {}
    for path in sorted(options.result.iterdir()):
        if path.suffix in SUFFIXES:
            results.setdefault(path.stem, []).append(path)
    for name, path in track(cases.items(), "judging", console=console, transient=True, disable=not console.is_terminal):
        found = results.pop(name, [])
        if len(found) == 1:
            try:
                yield Checked(name, _judge(path, found[0], options))
            except ValueError as error:
                yield Checked(name, reason=str(error))
        elif found:
            yield Checked(name, reason=f"two results: {found[0]} and {found[1]}")
        else:
            yield Checked(name, reason="no result", missing=True)
    for name, paths in results.items():
        yield Checked(name, reason=f"{paths[0]}: there is no case of that name in {options.case}")
