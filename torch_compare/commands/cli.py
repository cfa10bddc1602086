"""The command line: gradient-oracle verify, campaign, vectors, check, explain, operations.

Exit status: 0 agrees, 1 disagrees, 2 bad input or usage, 3 unresolved. `verify` and `explain` are imported when they
run: what `verify` needs loads for seconds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from reference import __version__

from ..torch_side import extras
from .check import add_check, run_check
from .exit_status import AGREES, BAD_INPUT, DISAGREES, INTERRUPTED, UNRESOLVED
from .operations import add_operations, run_operations
from .small_network import WIDTHS
from .terminal import STANDARD_OUTPUT, consoles, finish
from .usage import Parser
from .vectors import add_vectors, run_vectors, widths

__all__ = ["AGREES", "BAD_INPUT", "DISAGREES", "INTERRUPTED", "UNRESOLVED", "main", "parser"]

COMMANDS = ("verify", "campaign", "vectors", "check", "operations", "explain")
DEFAULT_CASES = 1200


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text}")
    return value


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text}")
    return value


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    top: argparse.ArgumentParser = Parser(
        prog="gradient-oracle",
        description="Says whether gradients are right, and if they are not, which mistake was made.",
        epilog="Example: gradient-oracle check vectors/activation_tanh.json result.json; of each command: "
        "gradient-oracle COMMAND --help",
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    _add_verify(commands)
    _add_campaign(commands)
    add_vectors(commands)
    add_check(commands)
    add_operations(commands)
    _add_explain(commands)
    return top


def _add_explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    show = commands.add_parser(
        "explain",
        help="print backpropagation through a small network, step by step, as matrices and node by node",
        epilog="Example: gradient-oracle explain --activation sigmoid --loss bce --widths 2,3,2",
    )
    show.add_argument("--activation", default="tanh", help="of all layers (default tanh)")
    show.add_argument("--loss", default="half_squared_error", help="of the output (default half_squared_error)")
    show.add_argument(
        "--widths",
        type=widths,
        default=WIDTHS,
        metavar="I,H,…,O",
        help="features and units of a small network (default 2,2,1, with the chapter's numbers)",
    )
    show.add_argument("--html", type=Path, metavar="FILE", help="write it to FILE as a page of HTML")


def _add_verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verify = commands.add_parser(
        "verify",
        help="hold the hand-written gradients against torch.autograd and differences on random problems",
        epilog="Example: gradient-oracle verify --cases 4 --seed 7 --dtype float32 --json report.json",
    )
    verify.add_argument(
        "--cases", type=_positive, default=DEFAULT_CASES, help=f"random problems (default {DEFAULT_CASES})"
    )
    verify.add_argument("--seed", type=_not_negative, help="where they come from (default: a new one, printed)")
    verify.add_argument("--dtype", choices=("float64", "float32"), help="number type (default: both in turn)")
    verify.add_argument("--only", choices=("mlps", "networks"), help="problems of this kind alone (default: both)")
    verify.add_argument(
        "--certify",
        action="store_true",
        help="certify every small problem, not a share of them",
    )
    verify.add_argument("--jobs", type=_positive, default=2, help="processes (default 2)")
    verify.add_argument(
        "--backend", choices=("processes", "dask"), default="processes", help="where they run (default: processes)"
    )
    verify.add_argument("--scheduler", metavar="ADDRESS", help="of the Dask cluster, as tcp://HOST:PORT")
    _add_report(verify)
    verify.add_argument(
        "--first", type=_not_negative, default=0, metavar="N", help="begin with problem N of the seed (default 0)"
    )
    verify.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="keep what is found in FILE, a line of JSON for every few problems; what stands there is not run again",
    )
    verify.add_argument("--replay", type=Path, metavar="FILE", help="run only the problem of such a file again")


def _add_campaign(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    together = commands.add_parser(
        "campaign",
        help="one report of what verify --resume has kept in files, on several machines, say",
        epilog="Example: gradient-oracle campaign here.jsonl there.jsonl --json report.json",
    )
    together.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a file of verify --resume")
    _add_report(together)


def _add_report(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write the report to FILE as JSON; - is the standard output"
    )
    command.add_argument("--html", type=Path, metavar="FILE", help="write the report to FILE as a page of HTML")
    command.add_argument(
        "--disagreements",
        type=Path,
        default=Path("disagreements"),
        metavar="DIR",
        help="write every disagreement to DIR, one file each (default: disagreements)",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    console, errors = consoles()
    try:
        options = parser().parse_args(arguments)
        return _run(options, errors if getattr(options, "json", None) == STANDARD_OUTPUT else console)
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        text = str(error).encode("utf-8", "backslashreplace").decode()  # a path may hold what UTF-8 does not have
        errors.print(f"gradient-oracle: {text}", markup=False, highlight=False, soft_wrap=True)
        return BAD_INPUT
    except KeyboardInterrupt:
        errors.print("gradient-oracle: stopped")
        return INTERRUPTED
    finally:
        finish()


def _run(options: argparse.Namespace, console: Console) -> int:
    if options.command == "check":
        return run_check(options, console)
    if options.command == "vectors":
        return run_vectors(options, console)
    if options.command == "operations":
        return run_operations(options, console)
    if options.command == "explain":
        from .explain import run_explain  # noqa: PLC0415

        return run_explain(options, console)
    with extras.named("verify"):
        from .verify import run_campaign, run_verify  # noqa: PLC0415

    return (run_campaign if options.command == "campaign" else run_verify)(options, console)


if __name__ == "__main__":
    sys.exit(main())
