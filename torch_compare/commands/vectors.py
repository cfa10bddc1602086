"""`gradient-oracle vectors`: write test vectors to a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from .exit_status import AGREES
from .terminal import require_folder


def _number(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**64:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 2^64 − 1, got {text}")
    return value


def widths(text: str) -> tuple[int, ...]:
    """The widths of a network, as `--widths` has them."""
    parts = text.split(",")
    if len(parts) < 2 or not all(part.strip().isascii() and part.strip().isdigit() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"expected two numbers or more, each at least 1, as 4,6,5,3; got {text}")
    return tuple(map(int, parts))


def add_vectors(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "vectors",
        help="write test vectors: problems with their certified gradients, for programs in any language",
        description="Write the named test vectors to a folder, and random ones if asked: each as JSON and as "
        "safetensors, with an index, JSON Schemas and a manifest. Or, with --widths, one case of a network of your "
        "own. The same seed makes the same bytes.",
        epilog="Example: gradient-oracle vectors mine --widths 4,6,5,3 --activation relu --loss cross_entropy",
    )
    command.add_argument("directory", type=Path, metavar="DIR", help="where to; made if it is not there")
    command.add_argument(
        "--widths",
        type=widths,
        metavar="I,H,…,O",
        help="write one case instead, of a network with so many features and units, as 4,6,5,3",
    )
    command.add_argument("--activation", help="of its hidden layers (default relu); the last layer is linear")
    command.add_argument("--loss", help="of it (default cross_entropy)")
    command.add_argument("--batch", type=_number, help="its examples (default 8)")
    command.add_argument("--reduction", choices=("mean", "sum"), help="of its loss (default mean)")
    command.add_argument("--cases", type=_number, default=0, help="random cases besides the named ones (default 0)")
    command.add_argument("--seed", type=_number, default=0, help="where random numbers come from (default 0)")
    command.add_argument(
        "--dtype", choices=("float64", "float32"), help="of random cases (default: both in turn; of --widths: float64)"
    )


def run_vectors(options: argparse.Namespace, console: Console) -> int:
    """Write them and say what was written.

    Raises:
        ValueError: there is no such activation or loss, the network is too large, or options do not go together.
        OSError: a file cannot be written.
    """
    require_folder("DIR", options.directory)
    if options.widths is not None:
        return _one(options, console)
    for option in ("activation", "loss", "batch", "reduction"):
        if getattr(options, option) is not None:
            raise ValueError(f"--{option}: of a network of your own; say its --widths too, as 4,6,5,3")
    from ..cases.vectors import write  # noqa: PLC0415

    manifest = write(options.directory, options.cases, options.seed, options.dtype)
    cases = sum(name.endswith(".safetensors") for name in manifest.files)
    size = sum(entry.bytes for entry in manifest.files.values())
    text = f"{options.directory}: {cases} cases, {options.cases} of them random from seed {options.seed}, {size} bytes"
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    return AGREES


def _one(options: argparse.Namespace, console: Console) -> int:
    from ..cases.own_case import own_case  # noqa: PLC0415
    from ..cases.vectors import write_one  # noqa: PLC0415

    if options.cases:
        raise ValueError("--cases: of the named set; with --widths one case is written")
    case = own_case(
        options.widths,
        options.activation or "relu",
        options.loss or "cross_entropy",
        dtype=options.dtype or "float64",
        batch=8 if options.batch is None else options.batch,
        seed=options.seed,
        reduction=options.reduction or "mean",
    )
    path = write_one(options.directory, case)
    text = f"""{path}: its arrays and its expected gradients, and the same as .safetensors.
Write yours as {{"gradients": {{"layers[0].weight": [...], ...}}}}, and: gradient-oracle check {path} RESULT"""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    return AGREES
