"""Defects of known programs as test vectors: each shows one, and the note says what comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reference import activations as act
from reference import losses as los

from .draft import Draft, draft

GITHUB = "https://github.com/"
NOT_SHOWN: Mapping[str, str] = {
    "pytorch#195679, #195682": "second derivatives of logsigmoid and silu; a vector holds first derivatives",
    "tensorflow#124833, #124834, #126060, #126635 (in part)": "the second derivative of softplus, likewise",
    "tensorflow#5876, #7403": "the Hessian of softmax cross-entropy, likewise",
    "pytorch#79609": "forward over reverse mode, a second derivative",
    "numpy-ml, layers.py": "an optional path for second derivatives; that its tests use cotangents of ones is why the "
    "vectors have none",
    "optax#1769": "Adam's ε in half precision: an optimiser's, not a gradient",
    "chainer#3541; pytorch PR #59615; jax#3130; NVIDIA/warp#508": "defects of gradient checkers, not of "
    "gradients: `python -m benchmarks detection` holds checkers against a bank of wrong gradients",
    "jax#37820 (in part)": "abs′(0) = 1 as such; the vectors have |·| inside l1 only",
}
"""Entries of the list of known bugs that no vector can show, and why."""


def _bug(name: str, link: str, note: str, layers: Any, x: Any, target: Any, *rest: Any, **more: Any) -> Draft:
    flags = ["known_bug", *more.pop("flags", [])]
    return draft(f"bug_{name}", layers, x, target, *rest, flags=flags, note=note, link=GITHUB + link, **more)


def _at(name: str, link: str, note: str, row: Any, z: list[float], **more: Any) -> Draft:
    """x = 1, so that the weights are the pre-activations; each unit has its own target."""
    targets = [[0.5 * (-1) ** n + n / 8 for n in range(len(z))]]
    more.setdefault("flags", ["saturated"])
    return _bug(name, link, note, [([[value] for value in z], None, row)], [[1.0]], targets, **more)


def drafts() -> Iterator[Draft]:
    """Every known bug that a vector can show, in the order of the list."""
    yield from _saturation()
    yield from _losses()
    yield from _conventions()
    yield from _rest()


def _saturation() -> Iterator[Draft]:
    torch = "pytorch/pytorch/issues/"
    yield _at(
        "01_sigmoid", f"{torch}195527", "σ′(40) = 4.25e−18, not 0: y(1 − y) cancels (also pytorch#195681)",
        "sigmoid", [40.0, -40.0, 37.0],
    )  # fmt: skip
    yield _at("01_tanh", f"{torch}195681", "tanh′(20) = 1.70e−17, not 0: 1 − y² cancels", "tanh", [20.0, -20.0, 19.0])
    yield _bug(
        "02_bce_with_logits", f"{torch}195677",
        "the gradient is 4.25e−18 on both of two mirrored branches, and 0 on one of them (also #195529, jax#40342)",
        [([[40.0], [-40.0]], None, "identity")], [[1.0]], [[1.0, 0.0]], "bce_with_logits", flags=["saturated"],
    )  # fmt: skip
    logits = [[37.43], [0.0]]
    note = "the small component is 0, so that the gradient no longer sums to 0"
    yield _bug(
        "03_cross_entropy", f"{torch}195678", f"cross-entropy at 37.43: {note} (also jax#40384–40387)",
        [(logits, None, "identity")], [[1.0]], [0], "cross_entropy", flags=["saturated"],
    )  # fmt: skip
    for row, issue in (("log_softmax", 195680), ("softmax", 195684)):
        yield _bug(
            f"03_{row}", f"{torch}{issue}", f"{row} at 37.43: {note} (also jax#40384–40387)",
            [(logits, None, row)], [[1.0]], [[0.25, -0.5]], flags=["saturated"],
        )  # fmt: skip
    yield _at("05_tanh_float32", f"{torch}195685", "tanh′(−9.0109) in float32: 1 − y² is 0", "tanh", [-9.0109, 9.0109],
              dtype="float32")  # fmt: skip
    jax = "jax-ml/jax/issues/"
    for row, issue, z in (("elu", 39795, -40.0), ("selu", 39796, -40.0), ("silu", 39798, -709.0)):
        note = f"{row}′ in its left tail keeps its digits only if e^z is not formed as (e^z − 1) + 1 or y + …"
        yield _at(f"06_{row}", f"{jax}{issue}", note, row, [z, -200.0, -36.0])
    tensorflow = "tensorflow/tensorflow/issues/"
    for row, issue in (("elu", 124833), ("selu", 124834), ("silu", 126060), ("sigmoid", 126635)):
        note = f"{row} in its tails (tensorflow#124833, #124834, #126060, #126635; softplus″ among them is not shown)"
        yield _at(f"07_{row}", f"{tensorflow}{issue}", note, row, [-100.0, -50.0, 50.0, 100.0])


def _losses() -> Iterator[Draft]:
    torch = "pytorch/pytorch/issues/"
    yield _bug(
        "08_bce_with_logits", f"{torch}2298",
        "the gradient at logit 0 is σ(0) − t, not 0: an |y| inside a smooth function has a derivative to be had",
        [([[1.0], [-2.0], [0.0]], None, "identity")], [[0.0]], [[1.0, 0.0, 0.25]], "bce_with_logits", reduction="sum",
    )  # fmt: skip
    yield _bug(
        "09_smooth_l1", f"{torch}96813", "smooth_l1 with β = 0 is l1; d²/β is NaN at y = t",
        [([[1.0], [-2.0], [0.5]], None, "identity")], [[1.0]], [[1.0, 0.0, -1.0]], los.smooth_l1(0.0),
    )  # fmt: skip
    yield _bug(
        "10_l1", f"{torch}7172", "l1 at y = t: the gradient is 0, not 1",
        [([[1.0], [-2.0], [0.5]], None, "identity")], [[1.0]], [[1.0, 0.0, 0.5]], "l1", reduction="sum",
    )  # fmt: skip
    yield _bug(
        "13_bce", f"{torch}103316",
        "bce(σ(−50)): y(1 − y) limited to 1e−12 gives a gradient 10 orders too small; bce_with_logits of −50 has −1",
        [([[-50.0]], None, "sigmoid")], [[1.0]], [[1.0]], "bce", flags=["saturated"],
    )  # fmt: skip
    yield _bug(
        "17_kl_div", f"{torch}89558", "t log t is 0 at t = 0, and so is the gradient; 0·log 0 is NaN",
        [([[1.0], [-1.0], [0.5]], [0.0, 0.5, 0.0], "log_softmax")], [[1.0], [-2.0]],
        [[0.0, 1.0, 0.0], [0.25, 0.0, 0.75]], "kl_div",
    )  # fmt: skip


def _conventions() -> Iterator[Draft]:
    yield _bug(
        "11_relu", "jax-ml/jax/issues/37821",
        "maximum(z, 0) at z = 0: the slope here is 0; ½ is another convention, not a wrong gradient (abs: #37820)",
        [([[1.0], [-1.0], [2.0]], [-1.0, 1.0, -1.0], "relu")], [[1.0]], [[0.5, -1.0, 0.25]],
    )  # fmt: skip
    yield _bug(
        "12_elu", "pytorch/pytorch/issues/47671",
        "elu with α = −2: a slope that is computed from y takes y > 0 for z > 0",
        [([[-1.0], [0.5], [-3.0]], None, act.elu(-2.0))], [[1.0], [2.0]], [[0.5, 0.0, 1.0], [-1.0, 0.25, 0.0]],
    )  # fmt: skip
    yield _bug(
        "12_leaky_relu", "pytorch/pytorch/issues/31938",
        "leaky_relu with slope −0.25: a slope that is computed from y takes y > 0 for z > 0",
        [([[-1.0], [0.5], [-3.0]], None, act.leaky_relu(-0.25))], [[1.0], [2.0]], [[0.5, 0.0, 1.0], [-1.0, 0.25, 0.0]],
    )  # fmt: skip
    yield _bug(
        "27_kink", "BVLC/caffe/issues/1334",
        "at a kink any slope between the two sides' is a subgradient: a checker says so, and says which was taken",
        [([[1.0], [2.0]], [-1.0, -2.0], act.leaky_relu(0.25)), ([[1.5, -0.5]], None, "identity")], [[1.0]], [[0.5]],
    )  # fmt: skip


def _rest() -> Iterator[Draft]:
    for row in ("gelu", "gelu_tanh"):
        yield _at(
            f"14_{row}", "facebookresearch/fairseq/issues/2235",
            "GELU in half precision: z³ overflows beyond 40, and 0·∞ is NaN", row, [-50.0, -12.0, 12.0, 50.0],
            dtype="float32", flags=["half_range", "saturated"],
        )  # fmt: skip
    yield _at(
        "15_logsigmoid", "pytorch/pytorch/issues/20972", "log σ(40) = −4.25e−18: log(1 + e^−z) without log1p is 0",
        "logsigmoid", [40.0, 37.0, 710.0],
    )  # fmt: skip
    for row in ("elu", "softplus", "sigmoid"):
        yield _at(
            f"16_{row}", "jax-ml/jax/issues/347",
            f"{row} at ±800: e^800 in the branch that is not taken makes the gradient NaN (also jax#5798)",
            row, [800.0, -800.0, 710.0],
        )  # fmt: skip
    yield _bug(
        "20_transposed_product", "tracel-ai/burn/issues/5304",
        "the gradient of the weight is a product whose left factor is a transposed view: wrong for x of shape (2, 3)",
        [([[1.0, 0.5, -0.25], [-0.5, 0.75, 1.0]], None, "identity")], [[0.7, -1.3, 2.1], [-0.4, 1.9, -3.2]],
        [[1.0, -0.5], [0.25, 2.0]], reduction="sum",
    )  # fmt: skip
    yield _at(
        "22_sigmoid", "explosion/thinc", "σ′(25) = 1.4e−11, where z clipped at 20 gives 2.1e−9", "sigmoid",
        [25.0, -25.0],
    )  # fmt: skip
