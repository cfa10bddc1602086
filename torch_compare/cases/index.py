"""The README of a directory of test vectors: what each case shows, and what the flags mean."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

import reference as ref
from reference.activations.row import name_and_parameters

from ..files.case_file import Case
from .draft import FLAGS
from .known_bugs import NOT_SHOWN

_HEAD = """# Test vectors

Written by `gradient-oracle vectors`; do not edit. Each case is one problem with its exact gradients: `<case>.json`,
and `<case>.safetensors` with the same numbers. `manifest.json` states the size and SHA-256 of every file, `schema/`
the JSON Schemas of cases, of results and of the manifest.

To check a program: read a case (`arrays`: `x`, `target`, `layers[0].weight`, …; every number as IEEE bits and as the
shortest decimal), compute the gradients, write `{"gradients": {"layers[0].weight": [...], ...}}`, and run
`gradient-oracle check CASE RESULT`. Numbers are row by row; weights are (fan_out, fan_in).

A case whose `architecture` has `steps` is a network of operations. Its arrays and gradients go by its own names; with
the loss `inner_product` the target is the gradient of the output. What was computed in bfloat16 is judged with
`--dtype bfloat16`.

`gradients` holds, for each parameter, for `input` and for `loss`, the float64 `nearest` to the exact value and
certified bounds: `lower` ≤ exact ≤ `upper`.
"""


def index(cases: Sequence[Case]) -> str:
    """The text, in Markdown: flags, cases by kind, and known bugs that no vector shows."""
    counts = {flag: sum(flag in case.flags for case in cases) for flag in FLAGS}
    lines = [_HEAD, "## Flags", "", "| flag | it marks | cases |", "|---|---|---|"]
    lines += [f"| `{flag}` | {text} | {counts[flag]} |" for flag, text in FLAGS.items() if counts[flag]]
    for kind, members in groupby(cases, key=lambda case: case.name.partition("_")[0]):
        lines += ["", f"## {kind}", "", "| case | network, loss | flags | it shows |", "|---|---|---|---|"]
        lines += [_row(case) for case in members]
    lines += ["", "## Known bugs that no vector shows", ""]
    lines += [f"* {where}: {why}." for where, why in NOT_SHOWN.items()]
    return "\n".join(lines) + "\n"


def _row(case: Case) -> str:
    note = f"{case.note} ([report]({case.link}))" if case.link else case.note
    flags = ", ".join(case.flags)
    return f"| [{case.name}]({case.name}.json) | {_cell(network(case))} | {flags} | {_cell(note)} |"


def network(case: Case) -> str:
    """Widths, activations and loss in a line; a network of more than six layers by its ends."""
    if isinstance(case.problem.network, ref.Network):
        return _steps(case.problem)
    layers = case.problem.mlp.layers
    parts = [f"{layer.width} {layer.activation.name}" for layer in layers]
    if len(parts) > 6:
        parts = [*parts[:2], f"… ({len(parts)} layers)", parts[-1]]
    loss = (
        name_and_parameters(case.problem.loss.name, {})
        if case.problem.reduction == "mean"
        else (f"{case.problem.loss.name}, sum")
    )
    return f"{case.problem.x.shape[0]} × {layers[0].fan_in} → {' → '.join(parts)}; {loss}"


def _steps(problem: ref.Problem) -> str:
    """The shapes of the inputs, the operations, and the loss."""
    given = ", ".join(f"{name} {' × '.join(map(str, np.shape(v))) or '()'}" for name, v in problem.x.items())
    rows = [name_and_parameters(step.operation.name, step.operation.parameters) for step in problem.graph.steps]
    if len(rows) > 6:
        rows = [*rows[:2], f"… ({len(rows)} steps)", rows[-1]]
    return f"{given} → {' → '.join(rows)}; {problem.loss.name}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
