"""Tables made of the project's own data when the site is built: ``{project-table} NAME``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import yaml  # Sphinx's Markdown brings it
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import reference as ref
from benchmarks.harness.report import cell
from benchmarks.implementations.jax_deviation_row import JaxDeviation
from benchmarks.implementations.jax_deviations import JAX_CONVENTIONS, JAX_DEVIATIONS, MEASURED_WITH
from benchmarks.zoo.audio import AUDIO
from benchmarks.zoo.language import LANGUAGE
from benchmarks.zoo.vision import VISION
from benchmarks.zoo.zoo import AGREES, CERTIFIED, FORMATS
from reference.operations.table import MAKERS, signature
from reference.optimizers import OPTIMIZERS
from torch_compare.random_problems.operations import draw
from torch_compare.sources.outcome import PairVerdict
from torch_compare.torch_side.deviations import DEVIATIONS
from torch_compare.torch_side.operation_deviations import OPERATION_DEVIATIONS
from torch_compare.torch_side.optimizer_deviations import OPTIMIZER_DEVIATIONS

Cells = Sequence[str]
ROOT = Path(__file__).parents[2]
ACCURACY = ROOT / "benchmarks" / "results" / "accuracy.json"
ZOO = ROOT / "benchmarks" / "results" / "zoo.json"
CAMPAIGNS = ("verify", "networks")
"""The committed reports of `gradient-oracle verify`, in benchmarks/campaigns."""
CITATION = ROOT / "CITATION.cff"


def activations() -> Iterator[Cells]:
    """Every row of `ref.ACTIVATIONS`."""
    yield "activation", "a(z)", "kinks, and the slope taken there", "source"
    for name, row in ref.ACTIVATIONS.items():
        kinks = ", ".join(f"{k.at:g}: {k.derivative:.4g}" for k in row.kinks)
        yield f"`{name}`", row.formula, kinks or "–", row.source


def losses() -> Iterator[Cells]:
    """Every row of `ref.LOSSES`."""
    yield "loss", "formula", "target", "source"
    for name, row in ref.LOSSES.items():
        yield f"`{name}`", row.formula, row.target, row.source


def operations() -> Iterator[Cells]:
    """Every row that `MAKERS` makes; one that needs parameters has random ones, and its formula is any one's."""
    yield "operation", "formula", "inputs", "known mistakes", "source"
    for name in sorted(MAKERS):
        row = ref.OPERATIONS[name] if name in ref.OPERATIONS else draw(np.random.default_rng(0), name)[0]
        mistakes = "; ".join(row.mistakes) or "–"
        yield f"`{signature(name)}`", row.formula, ", ".join(row.inputs), mistakes, row.source


def optimizers() -> Iterator[Cells]:
    """Every maker of `ref.optimizers`, with torch's defaults."""
    yield "optimiser", "a step", "defaults", "source"
    for name, make in OPTIMIZERS.items():
        row = make()
        defaults = ", ".join(f"{key} = {value}" for key, value in row.hyperparameters.items())
        yield f"`{name}`", row.formula, defaults, row.source


def _deviations(rows: Sequence[Any]) -> Iterator[Cells]:
    yield "row", "where", "what torch computes there, and why", "how far off", "torch's source, and since when"
    for row in rows:
        yield f"`{row.name}`", row.where, row.what, row.size, f"{row.reference}; {row.since}"


def _of_jax(rows: Sequence[JaxDeviation]) -> Iterator[Cells]:
    yield "row", "where", "what JAX computes there, and why", f"for example, by JAX {MEASURED_WITH}", "JAX's source"
    for row in rows:
        yield f"`{row.name}`", row.where, row.what, "; ".join(map(str, row.examples)), row.reference


def zoo() -> Iterator[Cells]:
    """The committed figures of `python -m benchmarks zoo --full`: the verdicts by their largest error."""
    classes = {row.name: f"`transformers.{row.model}`" for row in (*LANGUAGE, *VISION, *AUDIO)}
    yield (
        "architecture or module",
        "class",
        "steps",
        "parameters",
        *(f"{name} [σ]" for name in FORMATS),
        "certified in bits",
    )
    for row in json.loads(ZOO.read_text(encoding="utf-8"))["rows"]:
        errors = (cell(row[f"{name} [σ]"]) if row[name] == AGREES else row[name] for name in FORMATS)
        where = classes.get(row["name"], f"`torch.nn.{row['name']}`")
        certified = cell(row["bits"]) if row[CERTIFIED] == "yes" else "no"
        yield row["name"], where, cell(row["steps"]), cell(row["parameters"]), *errors, certified


def accuracy() -> Iterator[Cells]:
    """The committed figures of `python -m benchmarks accuracy`: a row for each function and order."""
    rows = json.loads(ACCURACY.read_text(encoding="utf-8"))["rows"]
    peers, types = ("ours", "torch", "JAX"), ("float64", "float32")
    yield "of", "largest error", *(f"{peer}, {name}" for name in types for peer in peers)
    found = {(row["function"], row["order"], row["type"]): row for row in rows}
    for function, order in dict.fromkeys((row["function"], row["order"]) for row in rows):
        errors = [found[function, order, name].get(peer) for name in types for peer in peers]
        unit = order if "[" in order else f"{order} [ulp]"
        yield function, unit, *("–" if error is None else cell(float(error)) for error in errors)


def _campaign(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "benchmarks" / "campaigns" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def campaign(which: str) -> Iterator[Cells]:
    """A committed campaign, by pairs of sources."""
    found = _campaign(which)
    yield "sources", "problems", "worst [σ]", "textbook scale needed", "deviations", "unresolved", "disagreements"
    for name, pair in found["pairs"].items():
        worst = pair["textbook_scales"] if pair["textbook"] else pair["scales"]
        counts = [cell(pair[key]) for key in ("textbook", "deviations", "unresolved", "disagreements")]
        yield name, cell(pair["cases"]), cell(worst), *counts


def disagreements() -> Iterator[Cells]:
    """Where two sources of the committed campaigns disagree."""
    yield "sources", "what is said", "again"
    reports = map(_campaign, CAMPAIGNS)
    for kind, case in ((report.get("only"), case) for report in reports for case in report["disagreements"]):
        seed, number = case["case"]
        only = f" --only {kind}" if kind else ""
        for outcome in case["outcomes"]:
            if outcome["verdict"] == PairVerdict.DISAGREES.value:
                said = " ".join(outcome["text"].split()) or f"{cell(outcome['scales'])} σ"
                again = f"`gradient-oracle verify --seed {seed} --first {number} --cases 1{only}`"
                yield outcome["pair"], said, again


def citation() -> Iterator[Cells]:
    """What CITATION.cff says."""
    yield "field", "value"
    for field, value in yaml.safe_load(CITATION.read_text(encoding="utf-8")).items():
        if isinstance(value, list):
            value = ", ".join(one["name"] if isinstance(one, dict) else one for one in value)
        yield field, str(value)


TABLES: Mapping[str, Callable[[], Iterator[Cells]]] = MappingProxyType(
    {
        "activations": activations,
        "losses": losses,
        "operations": operations,
        "optimizers": optimizers,
        "deviations": lambda: _deviations(DEVIATIONS),
        "operation-deviations": lambda: _deviations(OPERATION_DEVIATIONS),
        "optimizer-deviations": lambda: _deviations(OPTIMIZER_DEVIATIONS),
        "jax-deviations": lambda: _of_jax(JAX_DEVIATIONS),
        "jax-conventions": lambda: _of_jax(JAX_CONVENTIONS),
        "zoo": zoo,
        "accuracy": accuracy,
        "campaign": partial(campaign, "verify"),
        "networks-campaign": partial(campaign, "networks"),
        "disagreements": disagreements,
        "citation": citation,
    }
)


class ProjectTable(SphinxDirective):
    """``{project-table} NAME``: one of `TABLES`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table."""
        head, *rows = TABLES[self.arguments[0]]()
        group = nodes.tgroup(cols=len(head))
        group += [nodes.colspec(colwidth=1) for _ in head]
        group += nodes.thead("", _row(head))
        group += nodes.tbody("", *map(_row, rows))
        return [nodes.table("", group, classes=["project-table"])]


def _row(cells: Cells) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", _text(text))) for text in cells))


def _text(text: str) -> nodes.Node:
    """Text as it is; between backticks as code."""
    code = len(text) > 2 and text[0] == text[-1] == "`"
    return nodes.literal("", text[1:-1]) if code else nodes.Text(text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("project-table", ProjectTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
