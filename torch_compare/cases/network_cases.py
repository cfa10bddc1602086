"""Small networks of operations: a transformer block, and a language model of one attention, each in three types."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import reference as ref
from reference import Step
from reference import operations as ops

from .draft import Draft
from .operation_inputs import numbers

T, WIDTH, HEADS = 3, 4, 2


def drafts() -> Iterator[Draft]:
    """Both networks in float64, float32 and bfloat16, and one whose steps have formats of their own."""
    for dtype in ("float64", "float32", "bfloat16"):
        flags = ("steps", "bfloat16") if dtype == "bfloat16" else ("steps",)
        block, model = (f"network_{name}_{dtype}" for name in ("transformer_block", "language_model"))
        number = np.dtype(np.float64 if dtype == "float64" else np.float32)
        yield Draft(block, _block(number), flags, "layer norm, causal attention of two heads, residuals, GELU")
        yield Draft(model, _model(number), flags, "embedding, RMS norm, rotary positions, attention, tied logits")
    yield Draft(
        "network_formats", _formats(), ("formats", "steps"), "a norm in float32 whose output is kept in bfloat16"
    )


class _Parameters(dict[str, np.ndarray]):
    """Parameters by name, each with numbers of its own."""

    def __init__(self, dtype: np.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def new(self, name: str, *shape: int, around: float = 0.0, scale: float = 0.25) -> str:
        """A parameter near a number; its name."""
        self[name] = _bfloat16(around + scale * numbers(shape, len(self))).astype(self.dtype)
        return name


def _block(dtype: np.dtype) -> ref.Problem:
    """Radford et al. 2019: x + attention(norm(x)), and the same with the two layers of the perceptron."""
    p = _Parameters(dtype)

    def norm(name: str, x: str) -> Step:
        return Step(name, "layer_norm", x, p.new(f"{name}.weight", WIDTH, around=1.0), p.new(f"{name}.bias", WIDTH))

    def linear(name: str, x: str, fan_in: int, fan_out: int) -> Step:
        return Step(name, "linear", x, p.new(f"{name}.weight", fan_out, fan_in), p.new(f"{name}.bias", fan_out))

    steps = [norm("norm_1", "x"), linear("qkv", "norm_1", WIDTH, 3 * WIDTH)]
    steps.append(Step(("q", "k", "v"), ops.split(WIDTH, dim=-1), "qkv"))
    for name in "qkv":
        steps.append(Step(f"{name}.split", ops.reshape((T, HEADS, WIDTH // HEADS)), name))
        steps.append(Step(f"{name}.heads", ops.transpose(0, 1), f"{name}.split"))
    heads = ("q.heads", "k.heads", "v.heads")
    steps += [
        Step("attention", ops.scaled_dot_product_attention(is_causal=True), *heads),
        Step("turned", ops.transpose(0, 1), "attention"),
        Step("joined", ops.reshape((T, WIDTH)), "turned"),
        linear("projection", "joined", WIDTH, WIDTH),
        Step("middle", "add", "x", "projection"),
        norm("norm_2", "middle"),
        linear("wide", "norm_2", WIDTH, 6),
        Step("gelu", "gelu", "wide"),
        linear("narrow", "gelu", 6, WIDTH),
        Step("y", "add", "middle", "narrow"),
    ]
    x, target = numbers((T, WIDTH), 1).astype(dtype), numbers((T, WIDTH), 2).astype(dtype)
    return ref.Problem(ref.Network(p, steps), x, target, loss="mse")


def _model(dtype: np.dtype) -> ref.Problem:
    """Next tokens of one sequence; the rotary tables are constants, and one target is ignored."""
    p, size = _Parameters(dtype), 2
    ids, target = np.array([[2, 1, 2]]), np.array([[-100, 2, 1]])
    table = p.new("embedding", 3, size, scale=1.0)
    steps = [
        Step("h", "embedding", "ids", table),
        Step("norm", ops.rms_norm(eps=1e-5), "h", p.new("norm.weight", size, around=1.0)),
    ]
    steps += [Step(name, "linear", "norm", p.new(f"{name}.weight", size, size, scale=1.0)) for name in ("q", "k", "v")]
    steps += [
        Step("q.turned", "rotary_embedding", "q", "cos", "sin"),
        Step("k.turned", "rotary_embedding", "k", "cos", "sin"),
        Step("attention", "scaled_dot_product_attention", "q.turned", "k.turned", "v", "mask"),
        Step("sum", "add", "h", "attention"),
        Step("logits", "linear", "sum", table),
    ]
    angles = np.arange(T)[:, None] * np.array([[1.0]])
    far = np.where(np.tri(T, dtype=bool), 0.0, -np.inf)
    constants = {
        "cos": _bfloat16(np.cos(angles)).astype(dtype),
        "sin": _bfloat16(np.sin(angles)).astype(dtype),
        "mask": far.astype(dtype),
    }
    network = ref.Network(p, steps, inputs=("ids",), output="logits", constants=constants)
    return ref.Problem(network, ids, target, loss="cross_entropy")


def _bfloat16(values: np.ndarray) -> np.ndarray:
    """The numbers with their significands cut to 8 bits."""
    fraction, exponent = np.frexp(values)
    return np.ldexp(np.trunc(fraction * 256) / 256, exponent)


def _formats() -> ref.Problem:
    dtype = np.dtype(np.float32)
    p = _Parameters(dtype)
    steps = [
        Step("h", "linear", "x", p.new("w", 3, 2), compute="bfloat16"),
        Step("n", "layer_norm", "h", compute="float32", store="bfloat16"),
        Step("y", "linear", "n", p.new("v", 2, 3), compute="bfloat16"),
    ]
    x, target = numbers((2, 2), 1).astype(dtype), numbers((2, 2), 2).astype(dtype)
    return ref.Problem(ref.Network(p, steps), x, target, loss="inner_product")
