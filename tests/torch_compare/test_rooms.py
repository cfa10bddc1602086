"""The rooms of torch_compare: each imports only those before it, and heavy libraries are loaded by few modules."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import torch_compare

PACKAGE = Path(torch_compare.__file__).parent
ROOMS = (
    "torch_side", "random_problems", "files", "cases", "mistakes", "diagnosis", "verdict", "sources", "trajectories",
    "commands",
)  # fmt: skip
"""A room may import those that stand before it."""
LOADED_BY = {"torch": "torch_side.", "hypothesis": "random_problems.strategies"}
"""Which modules of torch_compare alone may import a library."""
SOURCES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path.read_text() for path in PACKAGE.rglob("*.py")
}


def imported(module, source, modules):
    """The modules of the package that one imports, within functions too, and the other packages."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
        if isinstance(node, ast.ImportFrom) and node.level:
            base = module.split(".")[: -node.level]
            for alias in node.names:
                whole = [*base, *filter(None, [node.module]), alias.name]
                found.add(".".join(whole if ".".join(whole) in modules else whole[:-1]))
    return found


def arrows(sources):
    return {module: imported(module, source, sources) for module, source in sources.items()}


def upward(sources):
    """Imports of a room from one that stands behind it."""
    found = []
    for module, others in arrows(sources).items():
        room = module.partition(".")[0]
        for other in others & sources.keys():
            there = other.partition(".")[0]
            if {room, there} <= set(ROOMS) and ROOMS.index(there) > ROOMS.index(room):
                found.append((module, other))
    return found


def circle(sources):
    graph = {module: others & sources.keys() for module, others in arrows(sources).items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def heavy(sources):
    """Imports of a library by a module that should not load it."""
    found = arrows(sources).items()
    return [(m, name) for m, others in found for name, home in LOADED_BY.items() if name in others and home not in m]


def test_every_folder_is_a_room():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ROOMS)


def test_rooms_import_only_those_before_them():
    assert upward(SOURCES) == []


def test_no_modules_import_each_other():
    assert circle(SOURCES) == []


def test_few_modules_import_the_heavy_libraries():
    assert heavy(SOURCES) == []


@pytest.mark.parametrize(
    ("check", "module", "line"),
    [
        (upward, "files.untrusted", "from ..verdict.given import Given"),
        (upward, "mistakes.data", "def late():\n    from ..sources import plant"),
        (circle, "verdict.given", "from .checks import check"),
        (circle, "torch_side.gradients", "def late():\n    from . import modules"),
        (heavy, "verdict.given", "import torch"),
        (heavy, "verdict.given", "def late():\n    from torch.nn import functional"),
        (heavy, "random_problems.spec", "import hypothesis.strategies as st"),
    ],
)
def test_an_arrow_that_should_not_be_is_seen(check, module, line):
    assert check(SOURCES | {module: f"{SOURCES[module]}\n{line}\n"})


def test_verify_runs_without_hypothesis():
    code = (
        "import sys; from torch_compare.commands import cli; from torch_compare.sources import plant; "
        "plant.PLANTED = plant.PLANTED[:1]; "
        "status = cli.main(['verify', '--cases', '2', '--seed', '1', '--jobs', '1']); "
        "sys.exit(99 if {'hypothesis', 'jax'} & set(sys.modules) else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
