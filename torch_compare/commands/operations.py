"""`gradient-oracle operations`: the table that a module's calls are looked up in."""

from __future__ import annotations

import argparse
import inspect
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reference.arithmetic.names import meant

from .exit_status import AGREES
from .terminal import require_file, write_report


def add_operations(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "operations",
        help="list the operations that a torch.nn.Module may call, and the rows of the oracle",
        description="List the operations of ATen that network_from_module and check_module take, by the names that "
        "torch.export gives them, each with its schema; and the rows that operations= may use. A name, or a part of "
        "one, lists those alone.",
        epilog="Example: gradient-oracle operations layer_norm",
    )
    command.add_argument("part", nargs="?", default="", metavar="NAME", help="list only names that contain this")
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write the lists to FILE as JSON; - is the standard output"
    )


def run_operations(options: argparse.Namespace, console: Console) -> int:
    """Print the two lists.

    Raises:
        ValueError: no name contains the part that was asked for.
        OSError: the file cannot be written.
    """
    require_file("--json", options.json)
    from reference.operations.table import MAKERS, OPERATIONS, signature  # noqa: PLC0415

    from ..torch_side import extras  # noqa: PLC0415

    with extras.named("torch"):
        from ..torch_side.aten import schemas  # noqa: PLC0415  (torch loads for seconds)

    calls = {name: schema for name, schema in schemas().items() if options.part in name}
    rows = {
        name: signature(name) if name in MAKERS else f"{name}{inspect.Signature()}"
        for name in sorted({*MAKERS, *OPERATIONS})
        if options.part in name
    }
    if not calls and not rows:
        near = meant(options.part, (*schemas(), *MAKERS, *OPERATIONS))
        raise ValueError(f"no operation has a name that contains {options.part!r}{near}")
    if options.json is not None:
        text = json.dumps({"aten": calls, "rows": rows}, indent=1, ensure_ascii=False)
        write_report(text + "\n", options.json)
        return AGREES
    for title, found in (("operations of ATen", calls), ("rows of the oracle", rows)):
        if found:
            table = Table(title=f"{title}: {len(found)}", title_justify="left")
            table.add_column("name", no_wrap=True)
            table.add_column("takes", overflow="fold")
            for name, takes in found.items():
                table.add_row(Text(name), Text(takes))
            console.print(table)
    return AGREES
