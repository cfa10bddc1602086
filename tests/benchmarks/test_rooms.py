"""The rooms of the benchmarks: which may import which, and how long a module may be."""

import ast
from pathlib import Path

import pytest

import benchmarks

ROOT = Path(benchmarks.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT)
BELOW = {
    "harness": set(),
    "implementations": set(),
    "wrong_gradients": {"implementations"},
    "claims": {"harness"},
    "exactness": {"harness", "implementations"},
    "detection": {"harness", "implementations", "wrong_gradients"},
}
"""The rooms that a room may import."""


def imported_rooms(source, package):
    """The rooms of the modules that a module of `package`, as ("claims",), imports."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = ["benchmarks", *package][: 2 + len(package) - node.level] if node.level else []
            module = [*start, *(node.module.split(".") if node.module else ())]
            names += [[*module, alias.name] for alias in node.names]
    return {name[1] for name in names if name[0] == "benchmarks"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_room_imports_one_above_it(path):
    package = path.relative_to(ROOT).parts[:-1]
    room = package[0]
    assert imported_rooms(path.read_text("utf-8"), package) <= BELOW[room] | {room}
    assert len(path.read_text("utf-8").splitlines()) <= 300


@pytest.mark.parametrize(
    ("source", "package", "room"),
    [
        ("from ..claims.reuse import x", ("harness",), "claims"),
        ("from .. import claims", ("harness",), "claims"),
        ("from ...claims import reuse", ("exactness", "independent_formulas"), "claims"),
        ("from ..accuracy import x", ("exactness", "independent_formulas"), "exactness"),
        ("from .report import x", ("harness",), "harness"),
        ("from . import report", ("harness",), "harness"),
        ("import benchmarks.claims.reuse", ("harness",), "claims"),
        ("from benchmarks import claims", ("harness",), "claims"),
        ("def f():\n    from benchmarks.claims import reuse", ("harness",), "claims"),
    ],
)
def test_every_way_to_import_is_seen(source, package, room):
    assert imported_rooms(source, package) == {room}


def test_every_room_is_known():
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(BELOW)
