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
    from .deviations import DEVIATIONS, Deviation
    from .measure import Place
    from .sources import SOURCES
    from .strategies import Spec, build, problems, specs
    from .verdict import Verdict, assert_gradients, check, check_module

__all__ = [
    "DEVIATIONS", "SOURCES", "Deviation", "Place", "Spec", "Verdict", "assert_gradients", "build", "check",
    "check_module", "problems", "specs",
]  # fmt: skip

_HOMES = {
    "deviations": ("DEVIATIONS", "Deviation"),
    "measure": ("Place",),
    "sources": ("SOURCES",),
    "strategies": ("Spec", "build", "problems", "specs"),
    "verdict": ("Verdict", "assert_gradients", "check", "check_module"),
}


def __getattr__(name: str) -> Any:
    """Import a name where it is first used (PEP 562): pytest loads the plugin, and torch takes seconds."""
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f".{home}", __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
