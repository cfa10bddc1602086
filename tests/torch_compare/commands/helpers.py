"""Small cases and results, written to files."""

import json

import ml_dtypes
import numpy as np

import reference as ref
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.network.in_arithmetic import in_noise
from torch_compare.commands import cli
from torch_compare.files.case_file import Case
from torch_compare.files.case_writer import as_json


def two_layers(seed=0):
    rng = np.random.default_rng(seed)
    first, last = ref.initialize([3, 6, 2], ["tanh", "identity"], seed=seed).layers
    layers = (
        ref.Layer(first.weight, 0.2 * rng.normal(size=6), first.activation),
        ref.Layer(last.weight, 0.2 * rng.normal(size=2), last.activation),
    )
    return ref.Problem(ref.MLP(layers), rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "mse")


def at_a_kink():
    """One unit of relu sits at 0 exactly."""
    layers = (ref.Layer(np.array([[1.0, 2.0]]), None, "relu"), ref.Layer(np.array([[3.0]]), None, "identity"))
    return ref.Problem(ref.MLP(layers), np.array([[2.0, -1.0], [0.25, 0.5]]), np.array([[1.0], [2.0]]), "mse")


def undecided():
    """σ(1) + σ(−1) − 1 is 0, which no finite precision proves: the interval holds both slopes of the relu behind it."""
    layers = (
        ref.Layer(np.array([[1.0], [-1.0]]), None, "sigmoid"),
        ref.Layer(np.array([[1.0, 1.0]]), np.array([-1.0]), "relu"),
    )
    return ref.Problem(ref.MLP(layers), np.array([[1.0]]), np.array([[1.0]]), "mse")


def as_case(problem, name="case"):
    return Case(name, problem, ref.certified_gradients(problem))


def write_case(folder, problem, name="case"):
    path = folder / f"{name}.json"
    path.write_text(as_json(as_case(problem, name)), encoding="utf-8")
    return path


def write_result(path, leaves, **stated):
    plain = {place: np.asarray(values, dtype=float).tolist() for place, values in leaves.items()}
    path.write_text(json.dumps({"gradients": plain, **{k: v for k, v in stated.items() if v}}), encoding="utf-8")
    return path


def computed_in(name, problem, seed=1):
    """Gradients as a correct implementation in that format makes them: one noisy run, then stored in it."""
    fmt = get_format(name)
    found = ref.gradients(in_noise(problem, NoiseSource(fmt, 2, np.random.default_rng(seed)))).map(lambda a: a.data[1])
    leaves = found.leaves()
    storage = {"float64": np.float64, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}.get(name, np.float32)
    return {place: np.asarray(values).astype(storage).astype(float) for place, values in leaves.items()}


def run(*arguments):
    return cli.main(["check", *map(str, arguments)])
