"""The bank of wrong gradients of operations: kernels of the sizes that their tests have, and what goes wrong in each.

A kernel is one operation, a small network of several, or a whole transformer. Its wrong gradients are those that are
known of its rows, of the activations in it and of networks (a branch lost, or added twice), and a factor on one of its
gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

import reference as ref
from reference.network import passes
from torch_compare.mistakes.mistake import Mistake
from torch_compare.mistakes.of_network import network_mistakes
from torch_compare.verdict.operation import operation_problem

from ..implementations.correct_gradients import NUMBERS
from ..implementations.transformers import gpt2, llama, next_tokens

Array = Any
UPSTREAM = 0.1
"""Spread of the gradient that a kernel is handed, as in Triton's tutorial on layer norm (``.1 * torch.randn_like``)."""
FACTORS = (1.03, 1.1, 2.0, -1.0)
"""On one gradient at a time. The least is above the goal of bfloat16 (2e-2, `benchmarks/detection/power.py`)."""
SQUARE = 64


@dataclass(frozen=True)
class Kernel:
    """One kernel: its name, and ``(rng, size) ↦ problem`` in float64, where size is the length of a row."""

    name: str
    build: Callable[[Generator, int], ref.Problem]

    def problem(self, seed: int, size: int, name: str, dtype: Any = np.float64) -> ref.Problem:
        """The problem, whose numbers the format holds, as arrays of a type."""
        with np.errstate(all="ignore"):
            found = self.build(np.random.default_rng([seed, size]), size)
        graph = found.graph
        parameters = {key: _in(values, name, dtype) for key, values in graph.parameters.items()}
        constants = {key: _in(values, name, dtype) for key, values in graph.constants.items()}
        network = ref.Network(parameters, graph.steps, graph.inputs, graph.output, constants)
        x = {key: _in(values, name, dtype) for key, values in found.x.items()}
        return ref.Problem(network, x, _in(found.target, name, dtype), found.loss, found.reduction)


def _in(values: Any, name: str, dtype: Any) -> Any:
    array = np.asarray(values)
    return array.astype(NUMBERS[name]).astype(dtype) if array.dtype.kind == "f" else array


def mistakes(problem: ref.Problem) -> Iterator[tuple[str, Callable[[ref.Problem], dict[str, Array]]]]:
    """(title, problem ↦ gradients) of everything that goes wrong in a problem's kernel."""
    seen = set()
    for mistake in network_mistakes(problem):
        title = f"{mistake.name}, {mistake.where}"
        if mistake.where != "loss" and title not in seen:
            seen.add(title)
            yield title, _of(mistake)
    for place in problem.leaves():
        for factor in FACTORS:
            yield f"factor {factor:g}, {place}", _times(place, factor)


def _of(mistake: Mistake) -> Callable[[ref.Problem], dict[str, Array]]:
    return lambda problem: leaves_of(mistake.problem(problem))


def _times(place: str, factor: float) -> Callable[[ref.Problem], dict[str, Array]]:
    def wrong(problem: ref.Problem) -> dict[str, Array]:
        leaves = leaves_of(problem)
        return {**leaves, place: (factor * leaves[place]).astype(leaves[place].dtype)}

    return wrong


def leaves_of(problem: ref.Problem) -> dict[str, Array]:
    """The gradients by place, without the loss."""
    with np.errstate(all="ignore"):
        found = ref.gradients(problem).leaves()
    return {place: leaf for place, leaf in found.items() if place != "loss"}


# ── single operations ────────────────────────────────────────────────────────────────────────────────

Inputs = Callable[[Generator, int], tuple[Any, ...]]


def _one(name: str, inputs: Inputs, row: ref.Operation | None = None, label: str = "") -> Kernel:
    def build(rng: Generator, size: int) -> ref.Problem:
        operation = row or ref.operations.get(name)
        given = inputs(rng, size)
        last = len(operation.inputs) - 1
        named: dict[str, Any] = dict(zip(operation.inputs, given, strict=False))
        if operation.variadic:
            named[operation.inputs[last]] = list(given[last:])
        made = operation.value(*given)
        parts = [UPSTREAM * rng.normal(size=np.shape(m)) for m in (made if isinstance(made, tuple) else (made,))]
        return operation_problem(operation, named, tuple(parts) if isinstance(made, tuple) else parts[0])

    return Kernel(label or name, build)


def _normal(*shapes: Callable[[int], tuple[int, ...]]) -> Inputs:
    return lambda rng, n: tuple(rng.normal(size=shape(n)) for shape in shapes)


def _rows(n: int) -> tuple[int, ...]:
    """As many rows as columns, up to 64: a wrong axis, or a transpose left out, then fits."""
    return (n, n) if n <= SQUARE else (8, n)


def _square(n: int) -> tuple[int, ...]:
    return (2, min(SQUARE, n), min(SQUARE, n))


def _matrix(n: int) -> tuple[int, ...]:
    return _square(n)[1:]


def _vector(n: int) -> tuple[int, ...]:
    return (n,)


def _heads(n: int) -> tuple[int, ...]:
    """Two heads of 16 numbers; a sequence of a quarter of a row, at most 64."""
    return (1, 2, min(64, n // 4), 16)


def _positions(rng: Generator, n: int) -> tuple[Any, ...]:
    length = _heads(n)[-2]
    angles = np.arange(length)[:, None] * 10000.0 ** (-np.arange(8) / 8)
    angles = np.concatenate([angles, angles], axis=-1)
    return rng.normal(size=_heads(n)), np.cos(angles), np.sin(angles)


def _tokens(rng: Generator, n: int) -> tuple[Any, ...]:
    return rng.integers(0, 24, (4, 16)), rng.normal(size=(24, n))


def _single() -> Iterator[Kernel]:
    make = ref.operations.MAKERS
    rows, vector = _normal(_rows), _normal(_rows, _vector)
    yield _one("linear", _normal(_rows, lambda n: (SQUARE, n), lambda n: (SQUARE,)))
    yield _one("matmul", _normal(_square, _square))
    yield _one("addmm", _normal(_matrix, _matrix, _matrix))
    yield _one("layer_norm", _normal(_rows, _vector, _vector))
    yield _one("rms_norm", vector, make["rms_norm"](eps=1e-6))
    yield _one("group_norm", _normal(lambda n: (4, 16, n // 8), *2 * [lambda n: (16,)]), make["group_norm"](4))
    yield _one("instance_norm", _normal(lambda n: (4, 8, n // 4), *2 * [lambda n: (8,)]))
    yield _one("batch_norm", lambda rng, n: (rng.normal(size=(n, 8)), None, None, *rng.normal(size=(2, 8))),
               make["batch_norm"](training=True))  # fmt: skip
    yield _one("normalize", rows)
    for name in ("softmax", "log_softmax", "logsumexp", "var", "std", "sum", "mean", "amax", "vector_norm"):
        yield _one(name, rows, make[name](dim=-1))
    for name in ("gelu", "silu", "tanh"):
        yield _one(name, rows)
    attention = _normal(_heads, _heads, _heads)
    yield _one("scaled_dot_product_attention", attention, label="attention")
    causal = make["scaled_dot_product_attention"](is_causal=True)
    yield _one("scaled_dot_product_attention", attention, causal, "attention, causal")
    grouped = make["scaled_dot_product_attention"](enable_gqa=True)
    one_head = lambda n: (1, 1, *_heads(n)[2:])  # noqa: E731
    yield _one("scaled_dot_product_attention", _normal(_heads, one_head, one_head), grouped, "attention, grouped")
    yield _one("rotary_embedding", _positions)
    for name in ("swiglu", "geglu", "reglu"):
        yield _one(name, _normal(_rows, _rows))
    yield _one("embedding", _tokens)
    yield _one("embedding", _tokens, make["embedding"](padding_idx=0), "embedding, padded")
    for name in ("add", "mul", "div", "maximum"):
        yield _one(name, vector)
    yield _one("where", lambda rng, n: (rng.random(_rows(n)) < 0.5, *_normal(_rows, _vector)(rng, n)))
    yield _one(
        "dropout", lambda rng, n: (rng.normal(size=_rows(n)), rng.random(_rows(n)) < 0.9), make["dropout"](p=0.1)
    )
    yield _one("prelu", lambda rng, n: (rng.normal(size=_square(n)), rng.uniform(0.1, 0.5, _matrix(n)[0])))
    yield _one("cat", _normal(_rows, _rows))
    yield _one("tril", _normal(lambda n: (n // 4, n // 4)))


# ── small networks ───────────────────────────────────────────────────────────────────────────────────


def _network(rng: Generator, shape: tuple[int, ...], parameters: dict[str, tuple[int, ...]], steps: Any) -> ref.Problem:
    weights = {key: rng.normal(size=size) / np.sqrt(size[-1] if size[1:] else 1) for key, size in parameters.items()}
    network = ref.Network(weights, steps)
    x = rng.normal(size=shape)
    made = passes.forward(network, {"x": x}).output
    return ref.Problem(network, {"x": x}, UPSTREAM * rng.normal(size=made.shape), "inner_product")


def _residual(rng: Generator, n: int) -> ref.Problem:
    """A block with a norm before and a residual around it, as GPT-2 has it."""
    step = ref.Step
    return _network(rng, (8, n), {"g": (n,), "w1": (32, n), "w2": (n, 32)}, [
        step("h", "layer_norm", "x", "g"), step("a", "linear", "h", "w1"), step("u", "gelu", "a"),
        step("o", "linear", "u", "w2"), step("y", "add", "x", "o"),
    ])  # fmt: skip


def _attention_block(rng: Generator, n: int) -> ref.Problem:
    """Attention with its projections and a residual around it."""
    step, e = ref.Step, 16
    causal = ref.operations.scaled_dot_product_attention(is_causal=True)
    return _network(rng, (2, min(64, n // 4), e), dict.fromkeys(("wq", "wk", "wv", "wo"), (e, e)), [
        step("q", "linear", "x", "wq"), step("k", "linear", "x", "wk"), step("v", "linear", "x", "wv"),
        step("o", causal, "q", "k", "v"), step("p", "linear", "o", "wo"), step("y", "add", "x", "p"),
    ])  # fmt: skip


def _gated_block(rng: Generator, n: int) -> ref.Problem:
    """A gated unit between projections, as Llama has it, whose first weight is used twice."""
    step = ref.Step
    return _network(rng, (8, n), {"g": (n,), "w": (n, n), "u": (n, n)}, [
        step("h", ref.operations.rms_norm(eps=1e-6), "x", "g"), step("a", "linear", "h", "w"),
        step("b", "linear", "h", "u"), step("s", "swiglu", "a", "b"), step("o", "linear", "s", "w"),
        step("y", "add", "x", "o"),
    ])  # fmt: skip


KERNELS: tuple[Kernel, ...] = (
    *_single(),
    Kernel("residual block", _residual),
    Kernel("attention block", _attention_block),
    Kernel("gated block", _gated_block),
)
"""Every kernel; those of one operation first."""


# ── whole networks ───────────────────────────────────────────────────────────────────────────────────


def _language_model(name: str, build: Callable[..., ref.Network]) -> Kernel:
    def problem(rng: Generator, size: int) -> ref.Problem:
        seed = int(rng.integers(2**31))
        return next_tokens(build(width=size, seed=seed), seed=seed)

    return Kernel(name, problem)


TRANSFORMERS: tuple[Kernel, ...] = (_language_model("GPT-2", gpt2), _language_model("Llama", llama))
"""Two layers each; of width 16 they have 7,000 to 9,000 parameters. Their loss is part of them."""
