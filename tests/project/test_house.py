"""The house: rooms import downwards, torch stays in its room, no module grows too long, every room is furnished."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, MutableMapping
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

import pytest

ROOT = Path(__file__).parents[2]

ROOMS = {
    "reference": (
        "arithmetic", "functions", "activations", "losses", "operations", "network", "rounding", "differences",
        "bounds", "optimizers", "training",
    ),
    "torch_compare": (
        "torch_side", "random_problems", "files", "cases", "mistakes", "diagnosis", "verdict", "steps",
        "sources", "trajectories", "commands",
    ),
    "benchmarks": ("harness", "implementations", "wrong_gradients", "claims", "exactness", "detection", "speed", "zoo"),
}  # fmt: skip
"""The rooms of each folder; a room imports from itself and from rooms named before it."""
FOLDERS = {"reference": (), "torch_compare": ("reference",), "benchmarks": ("reference", "torch_compare")}
"""The other folders that a folder imports from."""
FLAT = {
    "reference": {"__init__"},
    "torch_compare": {"__init__", "__main__", "pytest_plugin"},
    "benchmarks": {"__init__", "__main__"},
    "tests": {"__init__", "conftest"},
}
"""The modules that stand in no room: faces, programs, and what pytest looks for there."""
LONGEST = 300
HOMES = {"torch": "torch_compare.torch_side.", "hypothesis": "torch_compare.random_problems.strategies"}
"""Libraries that take seconds to load, and the modules of the two packages that import them."""

Sources = Mapping[str, str]
"""The text of every module by its dotted name; a package goes by the name of its ``__init__``."""


def sources(folder: str) -> dict[str, str]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


SOURCES = {name: text for folder in ROOMS for name, text in sources(folder).items()}


# ── what is imported ─────────────────────────────────────────────────────────────────────────────────


def imported(name: str, text: str) -> Iterator[str]:
    """The dotted names that a module imports, inside functions too; of ``from a import b`` it is a.b."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = name.split(".")[: -node.level] if node.level else []
            base = [*start, *([node.module] if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def module_of(name: str, known: Sources) -> str | None:
    """The module of this project that an imported name is, or is in; None if it is none."""
    while name:
        for module in (name, f"{name}.__init__"):
            if module in known:
                return module
        name = name.rpartition(".")[0]
    return None


def arrows(texts: Sources) -> dict[str, set[str]]:
    """The modules that each module imports."""
    return {
        name: {found for target in imported(name, text) if (found := module_of(target, texts)) not in (None, name)}
        for name, text in texts.items()
    }  # type: ignore[misc]


def room_of(module: str) -> tuple[str, str]:
    """The folder and the room that a module stands in; "" of one that stands in none."""
    folder, *rest = module.split(".")
    return folder, rest[0] if len(rest) > 1 else ""


# ── the rules, each as the list of what breaks it ────────────────────────────────────────────────────


def upward(texts: Sources) -> list[str]:
    """Imports of a room that stands above, or of a folder that is not to be imported."""
    found = []
    for name, targets in arrows(texts).items():
        folder, room = room_of(name)
        for target in sorted(targets):
            other, theirs = room_of(target)
            if other != folder:
                allowed = other in FOLDERS[folder]
            else:
                order = ROOMS[folder]
                allowed = not room or (theirs in order and order.index(theirs) <= order.index(room))
            if not allowed:
                found.append(f"{name} imports {target}")
    return found


def heavy(texts: Sources) -> list[str]:
    """Imports of a library that loads for seconds, outside its home; benchmarks measure with all of them."""
    return [
        f"{name} imports {target}"
        for name, text in texts.items()
        if not name.startswith("benchmarks")
        for target in imported(name, text)
        if not name.startswith(HOMES.get(target.split(".")[0], name))
    ]


def circles(texts: Sources) -> list[str]:
    """A circle of modules that import each other; faces only hand names on, and are left out."""
    graph = {
        name: {target for target in targets if not target.endswith("__init__")}
        for name, targets in arrows(texts).items()
        if not name.endswith("__init__")
    }
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return [" → ".join(error.args[1])]
    return []


def too_long(texts: Sources) -> list[str]:
    """Modules of more than `LONGEST` lines."""
    return [f"{name}: {lines} lines" for name, text in texts.items() if (lines := text.count("\n")) > LONGEST]


def homeless(folder: str, texts: Sources) -> list[str]:
    """Modules that stand in a folder and in no room of it."""
    return [name for name in texts if name.count(".") == 1 and name.rpartition(".")[2] not in FLAT[folder]]


def annotations(text: str) -> Iterator[str]:
    """Every annotation of a module: of arguments, results and variables."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.AnnAssign) or (isinstance(node, ast.arg) and node.annotation is not None):
            yield ast.unparse(node.annotation)
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            yield ast.unparse(node.returns)


def share_of_any(texts: Sources) -> float:
    """The share of annotations that say nothing: Any, or another name for it."""
    others = {
        target.id
        for text in texts.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and ast.unparse(node.value) == "Any"
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    found = [annotation for text in texts.values() for annotation in annotations(text)]
    return sum(annotation in {"Any", *others} for annotation in found) / len(found)


def test_the_types_of_the_calculus_say_something():
    assert share_of_any({name: text for name, text in SOURCES.items() if name.startswith("reference")}) <= 0.05
    assert share_of_any({"a": "Array = Any\n", "b": "def f(z: Array, y: Any, n: int) -> float: ..."}) == 0.5


RULES = {"upward": upward, "heavy": heavy, "circles": circles, "too long": too_long}


@pytest.mark.parametrize("rule", RULES)
def test_no_module_breaks_the_rule(rule):
    assert RULES[rule](SOURCES) == []


PLANTED = {
    "upward": {
        "reference.arithmetic.dispatch": "from ..network.mlp import MLP\n",
        "reference.network.mlp": "def forward():\n    from torch_compare.verdict import checks\n",
        "torch_compare.verdict.checks": "from benchmarks.harness import report\n",
        "benchmarks.harness.report": "from . import gallery\n",
        "benchmarks.harness.gallery": "",
    },
    "heavy": {
        "torch_compare.verdict.checks": "def check():\n    import torch.nn as nn\n",
        "torch_compare.torch_side.gradients": "import torch\n",
        "reference.network.mlp": "from torch.nn import functional\n",
        "torch_compare.random_problems.spec": "import hypothesis.strategies as st\n",
        "torch_compare.random_problems.strategies": "import hypothesis.strategies as st\n",
    },
    "circles": {
        "reference.losses.row": "from .table import LOSSES\n",
        "reference.losses.table": "from . import margin\n",
        "reference.losses.margin": "from reference.losses.row import Loss\n",
    },
    "too long": {"reference.losses.row": "x = 1\n" * (LONGEST + 1), "reference.losses.table": "x = 1\n" * LONGEST},
}
CAUGHT = {"upward": 3, "heavy": 3, "circles": 1, "too long": 1}


@pytest.mark.parametrize("rule", RULES)
def test_a_module_that_breaks_the_rule_is_found(rule):
    assert len(RULES[rule](PLANTED[rule])) == CAUGHT[rule]


def test_the_rules_see_every_module_and_its_imports():
    assert len(SOURCES) > 150
    assert sum(map(len, arrows(SOURCES).values())) > 500
    assert "reference.arithmetic.array" in arrows(SOURCES)["reference.network.mlp"]


@pytest.mark.parametrize("folder", FLAT)
def test_every_module_stands_in_a_room(folder):
    assert homeless(folder, sources(folder)) == []
    assert homeless(folder, {f"{folder}.leftover": ""}) == [f"{folder}.leftover"]


@pytest.mark.parametrize("folder", ROOMS)
def test_the_table_names_every_room(folder):
    rooms = {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")}
    assert rooms == set(ROOMS[folder])


@pytest.mark.parametrize("room", [f"{folder}/{room}" for folder, rooms in ROOMS.items() for room in rooms])
def test_every_room_has_its_readme_and_its_tests(room):
    readme = ROOT / room / "README.md"
    assert readme.is_file()
    assert len(readme.read_text(encoding="utf-8").splitlines()) >= 5
    assert list((ROOT / "tests" / room).glob("test_*.py"))
    modules = [path.name for path in (ROOT / room).glob("*.py") if path.name != "__init__.py"]
    assert [name for name in modules if name not in readme.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("folder", [*ROOMS, "tests"])
def test_every_folder_has_its_readme(folder):
    assert (ROOT / folder / "README.md").is_file()


def test_the_plugin_and_the_faces_hand_names_on_only():
    """A face defines nothing of its own but the lazy import of torch_compare's."""
    for name, text in SOURCES.items():
        if name.endswith("__init__"):
            defined = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
            assert {n.name for n in defined} <= {"__getattr__", "__dir__"}, name


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────


def public_tables(names: Iterator[str]) -> Iterator[tuple[str, object]]:
    """Every public table of the modules: a mapping whose name is in capitals."""
    for module in names:
        for name, value in vars(import_module(module)).items():
            if name.isupper() and not name.startswith("_") and isinstance(value, Mapping):
                yield f"{module}.{name}", value


def writable_tables(tables: Mapping[str, object]) -> list[str]:
    return [name for name, table in tables.items() if isinstance(table, MutableMapping)]


def test_every_public_table_is_read_only():
    """Whoever changed one would change every problem that is made from it."""
    shared = ("torch_compare.sources.", "torch_compare.torch_side.", "torch_compare.trajectories.")
    found = dict(public_tables(n for n in SOURCES if n.startswith(("reference.", *shared)) and "__init__" not in n))
    assert {"reference.activations.table.ACTIVATIONS", "torch_compare.sources.table.SOURCES"} <= found.keys()
    assert writable_tables(found) == []
    assert writable_tables({"a": {}, "b": MappingProxyType({})}) == ["a"]
