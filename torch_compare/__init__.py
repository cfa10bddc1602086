"""Gradients from different sources, held against each other.

>>> import numpy as np, reference as ref, torch_compare as tc
>>> mlp = ref.initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
>>> problem = ref.Problem(mlp, np.array([[0.5, -1.0]]), np.array([[1.0]]), loss="half_squared_error")
>>> tc.check(problem, tc.SOURCES["torch"](problem)).status
'agrees'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reference import __version__
    from reference.rounding.distance import WorstElement

    from .files.case_file import Case, read_case
    from .files.case_writer import write_case
    from .random_problems.networks import NetworkSpec, build_network
    from .random_problems.spec import Spec, build
    from .random_problems.strategies import modules, network_specs, networks, problems, specs
    from .sources.table import SOURCES
    from .steps.check_step import StepVerdict, check_step
    from .steps.step_file import StepFile, read_step, write_step
    from .torch_side.deviation_row import Deviation
    from .torch_side.deviations import DEVIATIONS
    from .torch_side.module_network import network_from_module
    from .verdict.checks import Verdict, assert_gradients, check, check_module
    from .verdict.operation import check_operation, operation_problem

__all__ = [
    "DEVIATIONS",
    "SOURCES",
    "Case",
    "Deviation",
    "NetworkSpec",
    "Spec",
    "StepFile",
    "StepVerdict",
    "Verdict",
    "WorstElement",
    "__version__",
    "assert_gradients",
    "build",
    "build_network",
    "check",
    "check_module",
    "check_operation",
    "check_step",
    "modules",
    "network_from_module",
    "network_specs",
    "networks",
    "operation_problem",
    "problems",
    "read_case",
    "read_step",
    "specs",
    "write_case",
    "write_step",
]  # fmt: skip

_HOMES = {
    "reference": ("__version__",),
    "torch_compare.torch_side.deviation_row": ("Deviation",),
    "torch_compare.torch_side.deviations": ("DEVIATIONS",),
    "reference.rounding.distance": ("WorstElement",),
    "torch_compare.sources.table": ("SOURCES",),
    "torch_compare.files.case_file": ("Case", "read_case"),
    "torch_compare.files.case_writer": ("write_case",),
    "torch_compare.steps.check_step": ("StepVerdict", "check_step"),
    "torch_compare.steps.step_file": ("StepFile", "read_step", "write_step"),
    "torch_compare.random_problems.spec": ("Spec", "build"),
    "torch_compare.random_problems.networks": ("NetworkSpec", "build_network"),
    "torch_compare.random_problems.strategies": ("modules", "network_specs", "networks", "problems", "specs"),
    "torch_compare.verdict.checks": ("Verdict", "assert_gradients", "check", "check_module"),
    "torch_compare.torch_side.module_network": ("network_from_module",),
    "torch_compare.verdict.operation": ("check_operation", "operation_problem"),
}


def __getattr__(name: str) -> Any:
    """Import a name where it is first used (PEP 562): pytest loads the plugin, torch takes seconds or is not there."""
    for home, names in _HOMES.items():
        if name in names:
            extras = import_module("torch_compare.torch_side.extras")
            with extras.named():
                value = getattr(import_module(home), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
