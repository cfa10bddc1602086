"""The named set: every activation and loss, their kinks and tails, and networks of every make.

Numbers are short in binary wherever they can be, so that a case can be followed by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import reference as ref
from reference import activations as act
from reference import losses as los

from .draft import Draft, draft

X = [[1.0, 2.0], [-1.5, 0.5]]
WEIGHT = [[1.0, -0.5], [0.5, 1.5], [-1.0, 0.75], [0.25, 0.5], [-0.75, 1.0], [1.25, -0.25]]
BIAS = [0.25, -0.625, 0.125, 0.5, -0.375, 0.75]
LAST = ([[1.0, -0.5, 0.75], [0.5, 1.25, -1.0]], [0.125, -0.25], "identity")
TARGET = [[1.0, -1.0], [0.5, 0.25]]

SMOOTH = (
    "tanh", "sigmoid", "logsigmoid", "silu", "gelu", "gelu_tanh", "mish", "softplus", "softsign", "tanhshrink", "elu",
    "celu", "selu",
)  # fmt: skip
"""Activations that bend for ever; those along a row have tails of their own."""
OUT = [0.5, -0.25, 0.75, -1.0, 0.375, -0.625, 0.875, -0.125]


def drafts() -> Iterator[Draft]:
    """Every case of the set but those of known bugs."""
    yield from _activations()
    yield from _kinks()
    yield from _tails()
    yield from _losses()
    yield from _loss_parameters()
    yield from _switches()
    yield from _networks()
    yield from _classifiers()


# ── activations ──────────────────────────────────────────────────────────────────────────────────────


def _activations() -> Iterator[Draft]:
    rows: list[tuple[str, ref.Activation]] = list(ref.ACTIVATIONS.items())
    rows += [
        ("leaky_relu_slope_0_2", act.leaky_relu(0.2)),
        ("rrelu_0_1_0_5", act.rrelu(0.1, 0.5)),
        ("elu_alpha_2", act.elu(2.0)),
        ("celu_alpha_0_3", act.celu(0.3)),
        ("softplus_beta_2", act.softplus(2.0)),
        ("softplus_no_threshold", act.softplus(threshold=float("inf"))),
        ("hardtanh_asymmetric", act.hardtanh(-0.5, 2.25)),
        ("hardshrink_0_3", act.hardshrink(0.3)),
        ("softshrink_0_3", act.softshrink(0.3)),
        ("threshold_value", act.threshold(-0.5, 0.25)),
    ]
    for name, row in rows:
        size = 3 * row.shrink
        yield draft(
            f"activation_{name}", [(WEIGHT[:size], BIAS[:size], row), LAST], X, TARGET, flags=["activation"],
            note=f"{row.name}: {row.formula}",
        )  # fmt: skip


def _column(name: str, row: Any, z: list[float], note: str, flags: list[str], dtype: str = "float64") -> Draft:
    """One example x = 1, so that the first layer's weights are its pre-activations."""
    return draft(
        name, [([[value] for value in z], None, row), ([OUT[: len(z)]], None, "identity")], [[1.0]], [[0.5]],
        flags=flags, note=note, dtype=dtype,
    )  # fmt: skip


def _kinks() -> Iterator[Draft]:
    rows: list[tuple[str, ref.Activation]] = [(name, row) for name, row in ref.ACTIVATIONS.items() if row.kinks]
    rows += [("elu_alpha_2", act.elu(2.0)), ("softplus_beta_2", act.softplus(2.0))]
    for name, row in rows:
        at = [kink.at for kink in row.kinks]
        taken = "; ".join(f"{k.derivative:.6g} at {k.at:.6g} (sides {k.left:.6g}, {k.right:.6g})" for k in row.kinks)
        yield _column(f"kink_{name}", row, [*at, at[0] - 1, at[-1] + 1], f"{row.name} on its kinks: {taken}", [])
    yield draft(
        "kink_relu_negative_zero", [([[1.0], [-1.0]], None, "relu"), ([[0.5, -0.25]], None, "identity")],
        [[-0.0], [0.0]], [[0.5], [-1.0]], note="ReLU at 0.0 and −0.0: one number, one derivative, 0",
    )  # fmt: skip
    yield draft(
        "kink_relu_float32", [([[0.1], [-0.1]], [-0.1, 0.1], "relu"), ([[0.5, -0.25]], None, "identity")],
        [[1.0], [2.0]], [[0.5], [-1.0]], dtype="float32", note="ReLU at 0, where a bias cancels a product in float32",
    )  # fmt: skip
    tanh_half = [[1.0], [1.0]], None, "tanh"
    yield draft(
        "kink_undecided", [tanh_half, ([[1.0, -1.0], [1.0, 0.5]], None, "relu"), ([[1.0, 0.5]], None, "identity")],
        [[0.5]], [[0.25]],
        note="ReLU of tanh ½ − tanh ½: exactly 0, which no number of digits shows; bounds hold both slopes",
    )  # fmt: skip


def _tails() -> Iterator[Draft]:
    far = [-700.0, -40.0, -20.0, -9.0, 9.0, 20.0, 40.0, 700.0]
    far32 = [-80.0, -17.0, -9.0, -4.0, 4.0, 9.0, 17.0, 80.0]
    for name in SMOOTH:
        note = f"{name} in its tails, z from −700 to 700"
        yield _column(f"tails_{name}", name, far, note, ["saturated"])
    for name in ("tanh", "sigmoid", "logsigmoid", "silu", "gelu", "gelu_tanh", "mish", "softplus", "elu"):
        note = f"{name} in its tails, z from −80 to 80, in float32"
        yield _column(f"tails_{name}_float32", name, far32, note, ["saturated"], "float32")
    rowwise = [[37.5], [0.0], [-40.0], [36.0]]
    for name in ("softmax", "log_softmax", "softmin"):
        yield draft(
            f"tails_{name}", [(rowwise, None, name)], [[1.0], [-1.0], [18.0]],
            [[0.25, 0.5, -0.25, 0.75], [1.0, 0.0, 0.125, -0.5], [0.0, 0.25, 0.5, 0.375]], flags=["saturated"],
            note=f"{name} of rows up to 1395 apart",
        )  # fmt: skip
    yield draft(
        "tails_glu", [([[2.0], [-1.0], [40.0], [-40.0]], None, "glu")], [[1.0], [-17.0]], [[0.5, 0.25], [-1.0, 0.0]],
        flags=["saturated"], note="glu whose gate is open or shut, to 680",
    )  # fmt: skip


# ── losses ───────────────────────────────────────────────────────────────────────────────────────────

HEAD = {"bce": "sigmoid", "nll": "log_softmax", "kl_div": "log_softmax"}
"""Last activations that give a loss outputs that it takes."""


def _targets(kind: str) -> Any:
    return {
        "real": [[0.5, -1.0, 0.25], [0.0, 0.75, 2.0]],
        "probabilities": [[0.0, 1.0, 0.25], [1.0, 0.5, 0.0]],
        "nonnegative": [[0.25, 0.5, 0.25], [0.0, 0.125, 2.0]],
        "classes": [2, 0],
        "indices": [2, 0],
        "signs": [[1.0, -1.0, -1.0], [-1.0, 1.0, -1.0]],
        "labels": [[2, 0, -1], [1, -1, -1]],
    }[kind]


def _loss(name: str, row: ref.Loss, **rest: Any) -> Draft:
    head, x = rest.pop("head", HEAD.get(row.name, "identity")), rest.pop("x", X)
    target = rest.pop("target", None)
    flags, note = rest.pop("flags", ["loss"]), rest.pop("note", f"{row.name}: {row.formula}")
    layer = (rest.pop("weight", WEIGHT[:3]), rest.pop("bias", BIAS[:3]), head)
    return draft(
        f"loss_{name}", [layer], x, _targets(row.target) if target is None else target, row, flags=flags, note=note,
        **rest,
    )  # fmt: skip


def _losses() -> Iterator[Draft]:
    for name, row in ref.LOSSES.items():
        yield _loss(name, row)


def _loss_parameters() -> Iterator[Draft]:
    w = np.array([0.5, 1.5, 2.0])
    soft, four = [[0.25, 0.5, 0.25], [0.0, 0.125, 0.875]], [*X, [0.5, 0.5], [2.0, -1.0]]
    yield _loss("cross_entropy_weights", los.cross_entropy(w))
    yield _loss("cross_entropy_smoothed", los.cross_entropy(label_smoothing=0.1))
    yield _loss("cross_entropy_smoothed_weights", los.cross_entropy(w, label_smoothing=0.25))
    yield _loss("cross_entropy_ignored", los.cross_entropy(), x=four, target=[2, -100, 0, -100])
    yield _loss("cross_entropy_ignored_weights", los.cross_entropy(w, 1, 0.1), x=four, target=[2, 1, 0, 1])
    yield _loss("cross_entropy_probabilities", los.cross_entropy(), target=soft)
    yield _loss("cross_entropy_probabilities_weights", los.cross_entropy(w, label_smoothing=0.1), target=soft)
    yield _loss("cross_entropy_sum", los.cross_entropy(w), reduction="sum")
    yield _loss("nll_ignored_weights", los.nll(w), x=four, target=[2, -100, 0, 1])
    yield _loss("bce_weights", los.bce(w))
    yield _loss("bce_with_logits_weights", los.bce_with_logits(w, w[::-1].copy()))
    yield _loss("kl_div_log_target", los.kl_div(log_target=True), target=[[-0.5, -1.0, -2.0], [-0.25, -3.0, -1.5]])
    yield _loss("poisson_nll_full", los.poisson_nll(full=True))
    yield _loss("poisson_nll_rates", los.poisson_nll(log_input=False), head="softplus")
    yield _loss("gaussian_nll_variances", los.gaussian_nll(w, full=True))
    yield _loss("smooth_l1_beta_2", los.smooth_l1(2.0))
    yield _loss("huber_delta_2", los.huber(2.0))
    yield _loss("multi_margin_squared", los.multi_margin(2, 0.5, w))
    yield _loss("multilabel_soft_margin_weights", los.multilabel_soft_margin(w))
    yield _loss("hinge_embedding_margin", los.hinge_embedding(2.0))
    yield _loss("mse_sum", los.mse(), reduction="sum")
    yield _loss("half_squared_error_sum", los.half_squared_error(), reduction="sum")
    yield _loss("cross_entropy_float32", los.cross_entropy(), dtype="float32")
    yield _loss("mse_float32", los.mse(), dtype="float32")


def _switches() -> Iterator[Draft]:
    """Losses where their formula changes: the layer passes integers on."""
    plain = {"weight": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], "bias": None, "x": [[1.0, 2.0], [0.0, -1.0]], "flags": []}
    y = [[1.0, 2.0, 3.0], [0.0, -1.0, -1.0]]
    yield _loss("l1_switch", los.l1(), target=[[1.0, 3.0, 2.0], [0.0, 0.0, -1.0]], note="|y − t| at 0", **plain)
    apart = [[row[0] - 1, row[1] + 1, row[2] - 2] for row in y]
    yield _loss("smooth_l1_switch", los.smooth_l1(), target=apart, note="|y − t| = β: both formulas meet", **plain)
    yield _loss("huber_switch", los.huber(), target=apart, note="|y − t| = δ: both formulas meet", **plain)
    yield _loss("multi_margin_switch", los.multi_margin(), target=[2, 0], note="a margin met exactly", **plain)
    yield _loss(
        "multilabel_margin_switch", los.multilabel_margin(), target=[[2, -1, -1], [0, 1, -1]],
        note="a margin met exactly, between two labels and the rest", **plain,
    )  # fmt: skip
    signs = [[-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]
    yield _loss("hinge_embedding_switch", los.hinge_embedding(), target=signs, note="y = margin: slope −1", **plain)


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────


def _networks() -> Iterator[Draft]:
    first = (WEIGHT[:3], BIAS[:3], "tanh")
    yield draft(
        "network_2_2_1", [(WEIGHT[:2], BIAS[:2], "sigmoid"), ([[1.5, -0.75]], [0.5], "sigmoid")],
        [[0.5, -1.0]], [[1.0]], note="two inputs, two hidden units, one output: the worked example of the chapter",
    )  # fmt: skip
    yield draft("network_batch_1", [first, LAST], X[:1], TARGET[:1], "mse", note="one example, two layers")
    eight = [[n / 4 - 1, (n * n % 7) / 2 - 1.5] for n in range(8)]
    yield draft(
        "network_batch_8", [first, LAST], eight, [[n / 8, 1 - n / 4] for n in range(8)], "mse",
        note="eight examples of two outputs: sums, means over 8 and means over 16 are apart",
    )  # fmt: skip
    yield draft("network_sum", [first, LAST], X, TARGET, "mse", reduction="sum", note="the summed loss of two layers")
    yield draft(
        "network_no_bias", [(WEIGHT[:3], None, "gelu"), (LAST[0], None, "identity")], X, TARGET, "mse",
        note="no biases",
    )  # fmt: skip
    yield draft(
        "network_width_1", [([[0.75]], [0.25], "tanh"), ([[-1.5]], [0.5], "sigmoid"), ([[2.0]], [0.0], "identity")],
        [[1.0], [-0.5]], [[0.25], [1.0]], note="one unit a layer",
    )  # fmt: skip
    yield draft(
        "network_mixed",
        [(WEIGHT[:3], BIAS[:3], "elu"), ([[0.5, -1.0, 0.25], [1.0, 0.75, -0.5]], [0.0, 0.25], "softsign"),
         (WEIGHT[:4], BIAS[:4], "glu"), ([[1.0, -0.5], [0.25, 0.75], [-1.25, 0.5]], [0.5, 0.0, -0.5], "identity")],
        X, [1, 2], "cross_entropy", flags=["mixed"], note="four layers, each with another activation",
    )  # fmt: skip
    square = [[1.0, -0.5, 0.25], [0.75, 1.25, -1.0], [-0.25, 0.5, 1.5]]
    other = [[0.5, 1.0, -0.75], [-1.25, 0.25, 0.5], [1.0, -0.5, 0.75]]
    yield draft(
        "network_square", [(square, BIAS[:3], "tanh"), (other, BIAS[3:], "sigmoid"), (square, BIAS[:3], "identity")],
        [[1.0, -0.5, 0.25], [0.5, 2.0, -1.0], [-1.5, 0.0, 0.75]], [[0.5, 0.0, 1.0], [1.0, -1.0, 0.0], [0.0, 0.5, 0.25]],
        "mse", flags=["square_weights"],
        note="three square layers and as many examples: no shape betrays a transposition",
    )  # fmt: skip
    yield draft(
        "network_zero_weights", [first, ([[0.0] * 3] * 2, [0.5, -0.5], "tanh"), (WEIGHT[:2], BIAS[:2], "identity")],
        X, TARGET, note="a layer whose weights are all 0 sends no gradient down",
    )  # fmt: skip
    yield draft("network_float32", [first, LAST], X, TARGET, "mse", dtype="float32", note="two layers in float32")
    rng = np.random.default_rng(100)
    deep = [(np.round(rng.normal(size=(2, 2)), 2), np.round(rng.normal(size=2) / 8, 2), "tanh") for _ in range(99)]
    yield draft(
        "network_100_layers", [*deep, ([[1.0, -0.5]], [0.25], "identity")], [[0.5, -1.0]], [[1.0]],
        note="99 layers of tanh and a linear one, two units wide",
    )  # fmt: skip
    chain = [([[float(c)]], None, "softsign") for c in np.round(rng.uniform(0.75, 1.75, 99), 2)]
    yield draft(
        "network_100_layers_float32", [*chain, ([[2.0]], None, "identity")], [[0.75], [-1.5]], [[0.5], [1.0]],
        dtype="float32", note="99 layers of softsign and a linear one, one unit wide, in float32",
    )  # fmt: skip
    tiny, small = 2.0**-520, 2.0**-70
    yield draft(
        "network_subnormal", [([[tiny, 1.5 * tiny]], None, "identity"), ([[3 * tiny]], None, "identity")], X,
        [[1.0], [-0.375]], note="a product of small weights: gradients below 2^−1022",
    )  # fmt: skip
    yield draft(
        "network_subnormal_float32", [([[small, 1.5 * small]], None, "tanh"), ([[3 * small]], None, "identity")], X,
        [[1.0], [-0.375]], dtype="float32", note="a product of small weights: gradients below 2^−126",
    )  # fmt: skip
    yield draft(
        "network_huge", [([[2.0**300, -(2.0**299)]], None, "identity"), ([[2.0**-290]], [0.25], "identity")], X,
        [[1.0], [-0.375]], note="numbers of 2^300 on the way to gradients that are in the middle of the range",
    )  # fmt: skip


def _classifiers() -> Iterator[Draft]:
    """The network that most people write first."""
    rng = np.random.default_rng(3)

    def hundredths(*shape: int) -> Any:
        return np.round(rng.normal(size=shape), 2)

    rows = ("relu", "relu", "identity")
    layers = [(hundredths(o, i), hundredths(o) / 4, row) for i, o, row in zip((4, 6, 5), (6, 5, 3), rows, strict=True)]
    x, classes = hundredths(8, 4), [0, 2, 1, 1, 0, 2, 2, 1]
    for dtype, name in (("float64", "classifier"), ("float32", "classifier_float32")):
        yield draft(
            f"network_{name}", layers, x, classes, "cross_entropy", dtype=dtype,
            note=f"two hidden layers of ReLU, softmax cross-entropy of eight examples, in {dtype}",
        )  # fmt: skip
