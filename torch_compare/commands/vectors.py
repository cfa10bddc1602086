"""`gradient-oracle vectors`: write test vectors to a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from .exit_status import AGREES


def _number(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**64:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 2^64 − 1, got {text}")
    return value


def add_vectors(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "vectors",
        help="write test vectors: problems with their certified gradients, for programs in any language",
        description="Write the named test vectors to a folder, and random ones if asked: each as JSON and as "
        "safetensors, with an index, JSON Schemas and a manifest. The same seed makes the same bytes.",
    )
    command.add_argument("directory", type=Path, metavar="DIR", help="where to; made if it is not there")
    command.add_argument("--cases", type=_number, default=0, help="random cases besides the named ones (default 0)")
    command.add_argument("--seed", type=_number, default=0, help="where the random ones come from (default 0)")
    command.add_argument("--dtype", choices=("float64", "float32"), help="of the random ones (default: both in turn)")


def run_vectors(options: argparse.Namespace, console: Console) -> int:
    """Write them and say what was written."""
    from ..cases.vectors import write  # noqa: PLC0415

    manifest = write(options.directory, options.cases, options.seed, options.dtype)
    cases = sum(name.endswith(".safetensors") for name in manifest.files)
    size = sum(entry.bytes for entry in manifest.files.values())
    text = f"{options.directory}: {cases} cases, {options.cases} of them random from seed {options.seed}, {size} bytes"
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    return AGREES
