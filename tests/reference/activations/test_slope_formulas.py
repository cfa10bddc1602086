"""The formula of every derivative, as it is written, makes the numbers of the derivative."""

import re
from math import erf, exp, log, pi, sqrt, tanh

import numpy as np
import pytest

import reference as ref
from reference.activations.row import AGREE, PROBES

ELEMENTWISE = [name for name, row in ref.ACTIVATIONS.items() if not row.rowwise]
NAMES = {
    "exp": exp, "tanh": tanh, "log": log, "K": sqrt(2 / pi),
    "σ": lambda z: 1 / (1 + exp(-z)), "Φ": lambda z: (1 + erf(z / sqrt(2))) / 2,
    "φ": lambda z: exp(-z * z / 2) / sqrt(2 * pi),
    "slope": {"leaky_relu": 0.01, "rrelu": (1 / 8 + 1 / 3) / 2}, "λ": {"selu": 1.0507009873554805},
    "α": {"selu": 1.6732632423543772},
}  # fmt: skip
SYMBOLS = {"alpha": "α", "beta": "β", "lambd": "λ"}


PYTHON = {
    "−": "-", "≤": "<=", "≥": ">=", "√(2/π)": "K", "|z|": "abs(z)", "½": "0.5·", "tanh² z": "tanh(z)²", "e^z": "exp(z)",
    "e^(": "exp(", "²": "**2", "³": "**3", "tanh(": "tanh@", "z(": "z·(",
}  # fmt: skip


def as_python(formula):
    """The formula in Python's letters, every product written."""
    for letters, python in PYTHON.items():
        formula = formula.replace(letters, python)
    formula = re.sub(r"(?<=[\d)βλTK])(?=[zα])|(?<=[)zK])(?=\()", "·", formula)
    return formula.replace("@", "(").replace("·", "*")


def evaluated(row, formula, z):
    names = {key: value.get(row.name) if isinstance(value, dict) else value for key, value in NAMES.items()}
    names |= {SYMBOLS.get(key, key): value for key, value in row.parameters.items()} | {"z": z}
    formula, _, rest = as_python(formula).partition(", ")
    if rest.startswith("T = "):
        names["T"] = eval(rest.removeprefix("T = "), names)
    elif rest:
        value, _, where = rest.partition(" where ")
        formula = f"{value} if {where} else {formula}"
    return eval(formula, names)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_it_makes_the_numbers_of_the_derivative(name):
    row = ref.ACTIVATIONS[name]
    for z in (*PROBES, -4.0, 7.5, 25.0):
        right = float(row.derivative(np.array([z]))[0])
        assert evaluated(row, row.slope_formula, z) == pytest.approx(right, rel=AGREE, abs=AGREE), z


def test_a_wrong_formula_is_noticed():
    tanh_row, right = ref.ACTIVATIONS["tanh"], 1 - tanh(0.5) ** 2
    assert evaluated(tanh_row, tanh_row.slope_formula, 0.5) == right
    assert evaluated(tanh_row, "1 + tanh² z", 0.5) != right
