"""Wrong gradients as users make them, in NumPy that shares no formula with the oracle, for the words of a diagnosis.

N examples, I a layer's fan-in, O its fan-out, K the network's outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

import reference as ref

FORMATS = ("float64", "float32", "bfloat16")


def bfloat16(values: Any) -> Any:
    """Rounded to eight bits, to the nearest, ties to even."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded & np.uint32(0xFFFF0000)).view(np.float32)


ROUND: dict[str, Callable[[Any], Any]] = {"float64": np.float64, "float32": np.float32, "bfloat16": bfloat16}


def softmax(y: Any) -> Any:
    e = np.exp(y - y.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


VALUE: dict[str, Callable[[Any], Any]] = {
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, 0.5 * np.expm1(z)),
    "identity": lambda z: z,
}
SLOPE: dict[str, Callable[[Any], Any]] = {
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "relu": lambda z: (z > 0) * 1.0,
    "leaky": lambda z: np.where(z > 0, 1.0, 0.01),
    "elu": lambda z: np.where(z > 0, 1.0, 0.5 * np.exp(z)),
    "identity": np.ones_like,
}
ROWS = {"leaky": ref.activations.leaky_relu(0.01), "elu": ref.activations.elu(alpha=0.5)}


def problem(widths: tuple[int, ...], hidden: str, loss: str, examples: int, seed: int = 0) -> ref.Problem:
    """A random network, rounded to bfloat16, so that every format holds the same one."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int, size: float = 1.0) -> Any:
        return bfloat16(size * rng.normal(size=shape)).astype(float)

    pairs = list(pairwise(widths))
    rows = [ROWS.get(hidden, hidden)] * (len(pairs) - 1) + ["identity"]
    layers = tuple(
        ref.Layer(draw(o, i, size=i**-0.5), draw(o, size=0.5), row) for (i, o), row in zip(pairs, rows, strict=True)
    )
    x = draw(examples, widths[0])
    target = rng.integers(0, widths[-1], examples) if loss == "cross_entropy" else draw(examples, widths[-1])
    return ref.Problem(ref.MLP(layers), x, target, loss)


@dataclass
class Pass:
    """A backward pass of a user, each step of which a mistake may replace.

    Attributes:
        weight: (W, l) ↦ the weight of the forward pass.
        back: (W, l) ↦ the weight of the backward pass.
        bias: (b, l) ↦ the bias of the forward pass.
        inputs: x ↦ the x that is used.
        hidden: (h, l) ↦ the output of a hidden layer that is used.
        slope: (z, l, a′) ↦ a′ that is used.
        d_y: (d_y, y, t) ↦ the gradient of the loss that is used.
        d_w: (d_z, h, l, d_W) ↦ the weight's gradient.
        d_b: (d_z, l, d_b) ↦ the bias's.
        finish: (leaves, problem) ↦ the leaves that are handed over.
    """

    weight: Callable[..., Any] = lambda w, l: w
    back: Callable[..., Any] = lambda w, l: w
    bias: Callable[..., Any] = lambda b, l: b
    inputs: Callable[..., Any] = lambda x: x
    hidden: Callable[..., Any] = lambda h, l: h
    slope: Callable[..., Any] = lambda z, l, right: right
    d_y: Callable[..., Any] = lambda d, y, t: d
    d_w: Callable[..., Any] = lambda d, h, l, right: right
    d_b: Callable[..., Any] = lambda d, l, right: right
    finish: Callable[..., Any] = field(default=lambda leaves, problem: leaves)

    def gradients(self, problem: ref.Problem, hidden: str, name: str) -> dict[str, Any]:
        """The gradients by place, the loss among them, in the arithmetic of a format."""
        dtype = np.float64 if name == "float64" else np.float32

        def cast(values: Any) -> Any:
            return ROUND[name](np.asarray(values, dtype))

        weights = [cast(layer.weight) for layer in problem.mlp.layers]
        h, last = cast(self.inputs(cast(problem.x))), len(weights) - 1
        kept, zs = [], []
        for l, layer in enumerate(problem.mlp.layers):
            kept.append(h)
            z = cast(cast(h @ cast(self.weight(weights[l], l)).T) + cast(self.bias(cast(layer.bias), l)))
            zs.append(z)
            h = z if l == last else cast(self.hidden(VALUE[hidden](z), l))
        y, target = h, np.asarray(problem.target)
        if problem.loss.name == "cross_entropy":
            p, hot = cast(softmax(y)), np.eye(y.shape[1], dtype=dtype)[target]
            loss, d_z = -np.mean(np.log(np.sum(p * hot, axis=1))), cast((p - hot) / len(y))
        else:
            loss, d_z = np.mean((y - cast(target)) ** 2), cast(2 * (y - cast(target)) / y.size)
        d_z = cast(self.d_y(d_z, y, target))
        leaves: dict[str, Any] = {"loss": cast(loss)}
        d_h: Any = None
        for l in reversed(range(last + 1)):
            if l < last:
                d_z = cast(d_h * cast(self.slope(zs[l], l, SLOPE[hidden](zs[l]))))
            leaves[f"layers[{l}].weight"] = cast(self.d_w(d_z, kept[l], l, d_z.T @ kept[l]))
            leaves[f"layers[{l}].bias"] = cast(self.d_b(d_z, l, d_z.sum(axis=0)))
            d_h = cast(d_z @ cast(self.back(weights[l], l)))
        leaves["input"] = d_h
        return {place: cast(leaf) for place, leaf in self.finish(leaves, problem).items()}


def times(c: float, of: str = "", loss: bool = True) -> Callable[..., Any]:
    """The gradients of a place times a number, the loss too where asked."""
    return lambda leaves, p: {k: v * c if of in k and (loss or k != "loss") else v for k, v in leaves.items()}


@dataclass(frozen=True)
class Wrong:
    """One wrong gradient, and the words for it.

    Attributes:
        name: unique.
        made: the pass that makes it.
        said: a pattern that the text must have, runner-up aside.
        unsaid: one that neither it nor the runner-up may have.
        net: which of `NETS`.
        formats: that it is tried in.
    """

    name: str
    made: Pass
    said: str
    unsaid: str = ""
    net: str = "classes"
    formats: tuple[str, ...] = FORMATS


NETS = {
    "classes": ((6, 8, 8, 4), "tanh", "cross_entropy", 5),
    "values": ((6, 8, 8, 3), "relu", "mse", 12),
    "leaky": ((6, 8, 8, 3), "leaky", "mse", 12),
    "elu": ((6, 8, 8, 3), "elu", "mse", 12),
}

FORWARD = r"forward pass differs"
EXACT = ("float64",)
FINE = ("float64", "float32")
RNG = np.random.default_rng(20)
MASK = (RNG.random((12, 8)) < 0.5) * 2.0
ODD = RNG.normal(size=(12, 8))


def _only(layer: int, change: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda values, l: change(values) if l == layer else values


def _int8(w: Any) -> Any:
    step = np.abs(w).max() / 127
    return np.round(w / step) * step


def _e(c: float) -> Callable[..., Any]:
    return times(c, loss=False)


NONSENSE = r"look at the loss|learning rate|clipped|norm of all"
WRONG = (
    # ── factors ──────────────────────────────────────────────────────────────────────────────────────
    Wrong("loss scale 1024", Pass(finish=_e(1024.0)), r"× 1024 .*loss scal", NONSENSE),
    Wrong("loss scale 65536", Pass(finish=_e(65536.0)), r"× 65536 .*loss scal", NONSENSE),
    Wrong("loss scale 128", Pass(finish=_e(128.0)), r"× 128 .*loss scal", NONSENSE),
    Wrong("unscaled twice", Pass(finish=_e(2.0**-16)), r"loss scal", NONSENSE),
    Wrong("log base 2", Pass(finish=times(1 / np.log(2))), r"logarithm.*base 2", NONSENSE, formats=FINE),
    Wrong("log base 10", Pass(finish=times(1 / np.log(10))), r"logarithm.*base 10", NONSENSE, formats=FINE),
    Wrong("n over n - 1", Pass(finish=times(5 / 4)), r"5/4.*5 − 1", NONSENSE),
    Wrong("n over n - 1, n = 12", Pass(finish=times(12 / 11)), r"12/11.*12 − 1", NONSENSE, "values", FINE),
    Wrong("padding to 8", Pass(finish=times(5 / 8)), r"5/8.*padded to 8", NONSENSE),
    Wrong("padding to 16", Pass(finish=times(12 / 16)), r"12/16.*padded to 16", NONSENSE, "values", FINE),
    Wrong("learning rate 0.01", Pass(finish=_e(0.01)), r"× 0\.01 .*learning rate", "clipped|loss scal", formats=FINE),
    Wrong("learning rate 3e-4", Pass(finish=_e(3e-4)), r"× 0\.0003 .*learning rate", "clipped|loss scal", formats=FINE),
    Wrong("odd factor", Pass(finish=_e(1.7234)), r"every gradient: yours = oracle × 1\.72\d*", NONSENSE + "|besides"),
    Wrong("odd factor 2", Pass(finish=_e(13.37)), r"every gradient: yours = oracle × 13\.\d*", NONSENSE + "|besides"),
    Wrong("odd factor 3", Pass(finish=_e(0.4321)), r"every gradient: yours = oracle × 0\.43\d*", NONSENSE + "|besides"),
    Wrong("odd factor 4", Pass(finish=_e(0.834)), r"every gradient: yours = oracle × 0\.83\d*", NONSENSE + "|besides", formats=FINE),  # noqa: E501
    Wrong("odd factor 5", Pass(finish=_e(6.54)), r"every gradient: yours = oracle × 6\.5\d*", NONSENSE, "values"),
    Wrong("negative odd", Pass(finish=_e(-0.7)), r"every gradient: yours = oracle × -0\.7", NONSENSE, "values"),
    Wrong("batch sum", Pass(finish=times(5.0)), r"5 is the batch size", NONSENSE),
    Wrong("sign", Pass(finish=_e(-1.0)), r"sign is wrong", NONSENSE),
    Wrong("a sixth", Pass(finish=_e(5 / 18)), r"5/18", NONSENSE, formats=FINE),
    # ── the forward pass ─────────────────────────────────────────────────────────────────────────────
    Wrong("bias forgotten, first", Pass(bias=_only(0, lambda b: 0 * b)), FORWARD + r".*bias", NONSENSE),
    Wrong("bias forgotten, last", Pass(bias=_only(2, lambda b: 0 * b)), FORWARD + r".*bias", NONSENSE),
    Wrong("bias forgotten, every", Pass(bias=lambda b, l: 0 * b), FORWARD + r".*bias", NONSENSE, "values"),
    Wrong("bias subtracted", Pass(bias=lambda b, l: -b), FORWARD + r".*bias", NONSENSE, "values"),
    Wrong("inputs × 255", Pass(inputs=lambda x: x * 255), FORWARD + r".*input", NONSENSE, "values"),
    Wrong("inputs / 255", Pass(inputs=lambda x: x / 255), FORWARD + r".*input", NONSENSE),
    Wrong("inputs × 2 − 1", Pass(inputs=lambda x: 2 * x - 1), FORWARD + r".*input", NONSENSE, "values"),
    Wrong(
        "inputs standardised", Pass(inputs=lambda x: (x - x.mean(0)) / x.std(0)), FORWARD + r".*input", NONSENSE,
        "values", FINE,
    ),
    Wrong("x W for x Wᵀ", Pass(weight=_only(1, lambda w: w.T)), FORWARD + r".*transpos", NONSENSE),
    Wrong(
        "x W for x Wᵀ, both passes", Pass(weight=_only(1, lambda w: w.T), back=_only(1, lambda w: w.T)),
        FORWARD + r".*transpos", NONSENSE,
    ),
    Wrong(
        "weights in bfloat16", Pass(weight=lambda w, l: bfloat16(w * 1.01), back=lambda w, l: bfloat16(w * 1.01)),
        FORWARD, NONSENSE, formats=EXACT,
    ),
    Wrong("weights in int8", Pass(weight=lambda w, l: _int8(w), back=lambda w, l: _int8(w)), FORWARD + ".*int8",
          NONSENSE, formats=EXACT),
    Wrong("weights in int8, forward", Pass(weight=lambda w, l: _int8(w)), FORWARD + ".*int8", NONSENSE, formats=EXACT),
    Wrong("stale weights", Pass(weight=lambda w, l: w + 0.05 * ODD[: len(w), : w.shape[1]],
                                back=lambda w, l: w + 0.05 * ODD[: len(w), : w.shape[1]]), FORWARD,
          "look at the loss and", formats=FINE),
    Wrong("dropout left on", Pass(hidden=lambda h, l: h * MASK[: len(h)]), FORWARD, "look at the loss and", "values"),
    Wrong("dropout left on, 5", Pass(hidden=lambda h, l: h * MASK[: len(h)]), FORWARD, "look at the loss and", formats=FINE),  # noqa: E501
    Wrong("noise added", Pass(hidden=lambda h, l: h + ODD[: len(h)]), FORWARD, "look at the loss and"),
    # ── steps of the backward pass ───────────────────────────────────────────────────────────────────
    Wrong("odd weight product", Pass(d_w=lambda d, h, l, r: r * (1 + 0.3 * ODD[:8, : r.shape[1]]) if l == 1 else r),
          r"first differ in layers\[1\]\.weight, in the product of d_z with the input.*bias", "look at the loss"),
    Wrong("odd weight product on top",
          Pass(d_w=lambda d, h, l, r: r * (1 + 0.3 * ODD[:4, : r.shape[1]]) if l == 2 else r),
          r"first differ in layers\[2\]\.weight, in the product of d_z with the input", "look at the loss"),
    Wrong("odd bias sum on top", Pass(d_b=lambda d, l, r: r * (1 + ODD[0, : len(r)]) if l == 2 else r),
          r"first differ in layers\[2\]\.bias, in the sum of d_z over the batch", "look at the loss|look at the product"),  # noqa: E501
    Wrong("odd slope", Pass(slope=lambda z, l, r: r * (1 + ODD[: len(z)]) if l == 0 else r),
          r"first differ in layers\[0\].*layers\[1\]\.weight.*derivative", "look at the loss"),
    Wrong("odd loss gradient", Pass(d_y=lambda d, y, t: d * (1 + ODD[: len(y), : y.shape[1]])),
          r"first differ in layers\[2\].*gradient of the loss", "product of d_z"),
    Wrong("odd product backward", Pass(back=lambda w, l: w + 0.3 * ODD[: len(w), : w.shape[1]] if l == 1 else w),
          r"first differ in layers\[0\].*layers\[1\]\.weight", "look at the loss"),
    Wrong("inputs' gradient alone", Pass(back=lambda w, l: w + 0.3 * ODD[: len(w), : w.shape[1]] if l == 0 else w),
          r"first differ in input.*layers\[0\]\.weight", "look at the loss"),
    # ── which of equal explanations ──────────────────────────────────────────────────────────────────
    Wrong("elu without alpha", Pass(slope=lambda z, l, r: np.where(z > 0, 1.0, np.exp(z))), r"elu.*alpha", "celu|selu",
          "elu", FINE),
    Wrong("leaky slope nearly", Pass(slope=lambda z, l, r: np.where(z > 0, 1.0, 0.0100000002)), r"0\.0100000002",
          r"slope 0\.01 below", "leaky", EXACT),
    Wrong("leaky slope", Pass(slope=lambda z, l, r: np.where(z > 0, 1.0, 0.2)), r"slope 0\.2\d* below|0\.2", "", "leaky",  # noqa: E501
          FINE),
    Wrong("mask ≥", Pass(slope=lambda z, l, r: np.ones_like(z)), r"derivative is missing", NONSENSE, "values"),
    Wrong("tanh twice", Pass(slope=lambda z, l, r: r * r), r"applied twice", NONSENSE),
    Wrong("at the output", Pass(slope=lambda z, l, r: 1 - np.tanh(np.tanh(z)) ** 2), r"at its output", NONSENSE),
    Wrong("bias averaged", Pass(d_b=lambda d, l, r: r / len(d)), r"every bias.*mean", NONSENSE),
    Wrong("transposed square", Pass(d_w=lambda d, h, l, r: r.T if l == 1 else r), r"transposed", NONSENSE),
    Wrong("not transposed", Pass(back=_only(1, lambda w: w.T)), r"wrong orientation", NONSENSE),
    Wrong("decay", Pass(finish=lambda g, p: g | {k: g[k] + np.asarray(0.01 * v, g[k].dtype)
                                                  for k, v in p.leaves().items() if "weight" in k}),
          r"0\.01.* × the weights is added", "celu", formats=FINE),
    Wrong("first half", Pass(d_y=lambda d, y, t: d * (np.arange(len(d)) < len(d) // 2)[:, None]), r"half|example",
          NONSENSE, "values", FINE),
)  # fmt: skip
