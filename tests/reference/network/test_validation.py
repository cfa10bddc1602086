"""Bad input of every kind gets its named error: which array, which place, what was expected."""

from __future__ import annotations

from itertools import product, takewhile
from typing import Any

import numpy as np
import pytest

import reference as ref
from reference import losses

W, B = np.ones((2, 3)), np.ones(2)
MLP = ref.MLP((ref.Layer(W, B, "tanh"), ref.Layer(np.ones((4, 2)), None, "identity")))
X, T = np.zeros((5, 3)), np.zeros((5, 4))
CLASSES = np.array([0, 1, 2, 3, 0])


def layer(**changes: Any) -> ref.Layer:
    return ref.Layer(**({"weight": W, "bias": B, "activation": "tanh"} | changes))


def problem(**changes: Any) -> ref.Problem:
    return ref.Problem(**({"network": MLP, "x": X, "target": T, "loss": "mse"} | changes))


class Foreign:
    """An array of another library: a shape and a type, but not NumPy's protocols."""

    shape, dtype, ndim = (2, 3), "float64", 2


NOT_FLOATS = [
    (np.ones((2, 3), int), r"got int64; convert it with \.astype\(float\)"),
    (np.ones((2, 3), np.uint8), r"got uint8; convert it with \.astype\(float\)"),
    (np.ones((2, 3), bool), "got bool"),
    ([[1, 2, 3], [4, 5, 6]], r"got int64; convert it with \.astype\(float\)"),
    (np.full((2, 3), "1.0"), "got <U3"),
    ("weights", "got <U7"),
    (np.full((2, 3), None), "got object"),
    (None, "got object"),
    ([[1.0, 2.0], [3.0]], "got ragged input"),
    ({"a": 1.0}, "got object"),
    (Foreign(), "expected a NumPy array, got .*Foreign"),
]
NOT_MATRICES = [
    (np.float64(1.0), r"expected 2 dimensions, none of length 0, got shape \(\)"),
    (np.ones(3), r"got shape \(3,\)"),
    (np.ones((1, 2, 3)), r"got shape \(1, 2, 3\)"),
    (np.ones((0, 3)), r"got shape \(0, 3\)"),
    (np.ones((3, 0)), r"got shape \(3, 0\)"),
    ([], r"got shape \(0,\)"),
]


def name_of(value: Any) -> str:
    return type(value).__name__ if not isinstance(value, str) else "pattern"


@pytest.mark.parametrize(("wrong", "message"), NOT_FLOATS, ids=name_of)
@pytest.mark.parametrize(("make", "name"), [(layer, "weight"), (problem, "x")])
def test_an_array_of_anything_but_floats(make, name, wrong, message):
    with pytest.raises(TypeError, match=f"^{name}: .*{message}"):
        make(**{name: wrong})


@pytest.mark.parametrize(("wrong", "message"), NOT_MATRICES, ids=name_of)
@pytest.mark.parametrize(("make", "name"), [(layer, "weight"), (problem, "x")])
def test_an_array_that_is_no_matrix(make, name, wrong, message):
    with pytest.raises(ValueError, match=f"^{name}: .*{message}"):
        make(**{name: wrong})


@pytest.mark.parametrize(
    ("bias", "error", "message"),
    [
        (np.ones(3), ValueError, r"bias: expected shape \(2,\) to match weight \(2, 3\), got \(3,\)"),
        (np.ones((2, 1)), ValueError, r"bias: expected 1 dimension, none of length 0, got shape \(2, 1\)"),
        (np.ones(0), ValueError, r"bias: .*got shape \(0,\)"),
        (1.0, ValueError, r"bias: .*got shape \(\)"),
        (np.ones(2, int), TypeError, "bias: expected an array of floating numbers, got int64"),
        (["a", "b"], TypeError, "bias: expected an array of floating numbers, got <U1"),
        (np.ones(2, np.float32), TypeError, "bias: expected float64 like weight, got float32"),
        (False, TypeError, "bias: expected an array of floating numbers, got bool"),
    ],
)
def test_a_bad_bias(bias, error, message):
    with pytest.raises(error, match=message):
        layer(bias=bias)


@pytest.mark.parametrize(
    ("activation", "error", "message"),
    [
        ("tan", ValueError, "activation: no row is named 'tan', is tanh meant\\?; there are celu"),
        (None, TypeError, "activation: expected a name or a row, got NoneType"),
        (np.tanh, TypeError, "activation: expected a name or a row, got ufunc"),
        (ref.LOSSES["mse"], TypeError, "activation: expected a name or a row, got Loss"),
    ],
)
def test_a_bad_activation(activation, error, message):
    with pytest.raises(error, match=message):
        layer(activation=activation)


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ((), ValueError, "layers: an MLP needs at least one layer, got none"),
        ((W,), TypeError, r"layers\[0\]: expected a Layer, got ndarray"),
        ((layer(), None), TypeError, r"layers\[1\]: expected a Layer, got NoneType"),
        ((layer(), layer()), ValueError, r"layers\[1\]\.weight: expected fan-in 2, .*got shape \(2, 3\)"),
        (
            (layer(), ref.Layer(np.ones((1, 2), np.float32), None, "relu")),
            TypeError,
            r"layers\[1\]\.weight: expected float64 like layer 0, got float32",
        ),
        ((ref.Layer(np.ones((3, 2)), None, "glu"),), ValueError, r"layers\[0\]: glu halves its input, .* fan-out is 3"),
        (
            (ref.Layer(np.ones((4, 2)), None, "glu"), ref.Layer(np.ones((1, 4)), None, "relu")),
            ValueError,
            r"layers\[1\]\.weight: expected fan-in 2, the width of layer 0",
        ),
    ],
)
def test_a_bad_network(layers, error, message):
    with pytest.raises(error, match=message):
        ref.MLP(layers)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"network": MLP.layers}, TypeError, "network: expected an MLP or a Network, got tuple"),
        ({"network": None}, TypeError, "network: expected an MLP or a Network, got NoneType"),
        (
            {"x": np.zeros((5, 4))},
            ValueError,
            r"x: expected shape \(N, 3\) for layers\[0\]\.weight \(2, 3\), got \(5, 4\)",
        ),
        ({"x": X.astype(np.float32)}, TypeError, "x: expected float64 like the network, got float32"),
        ({"loss": "mean_squared"}, ValueError, r"loss: no row is named 'mean_squared'.*; there are bce"),
        ({"loss": np.mean}, TypeError, "loss: expected a name or a row, got"),
        ({"loss": ref.ACTIVATIONS["tanh"]}, TypeError, "loss: expected a name or a row, got Activation"),
        ({"reduction": "average"}, ValueError, "reduction: expected one of mean, sum, none, got 'average'"),
        ({"reduction": None}, ValueError, "reduction: expected one of mean, sum, none, got None"),
        ({"target": T[:4]}, ValueError, r"target: mse expects shape \(5, 4\), that of the output, got \(4, 4\)"),
        ({"target": T[:, :1]}, ValueError, r"target: mse expects shape \(5, 4\), .* got \(5, 1\)"),
        ({"target": 0.0}, ValueError, r"target: mse expects shape \(5, 4\), .* got \(\)"),
        ({"target": T.astype(np.float32)}, TypeError, "target: expected float64 like x, got float32"),
        (
            {"target": T.astype(int), "loss": "huber"},
            TypeError,
            r"target: huber expects floating numbers of shape \(5, 4\), got int64",
        ),
        ({"target": T.astype(complex)}, TypeError, "target: mse expects floating numbers"),
        ({"target": [["a"] * 4] * 5}, TypeError, "target: mse expects floating numbers"),
        ({"target": [[1.0], [2.0, 3.0]]}, TypeError, "target: expected an array for mse, got ragged input"),
        ({"target": None}, TypeError, "target: mse expects floating numbers"),
    ],
)
def test_a_bad_problem(changes, error, message):
    with pytest.raises(error, match=message):
        problem(**changes)


def changed(array: Any, place: Any, value: Any) -> Any:
    copy = array.copy()
    copy[place] = value
    return copy


SIGNS = np.ones((5, 4))
LABELS = np.full((5, 4), -1)


@pytest.mark.parametrize(
    ("loss", "target", "error", "message"),
    [
        (
            "cross_entropy",
            changed(CLASSES, 2, 4),
            ValueError,
            r"target\[2\]: cross_entropy expects class indices from 0 to 3, got 4",
        ),
        ("cross_entropy", changed(CLASSES, 3, -1), ValueError, r"target\[3\]: cross_entropy expects .*, got -1"),
        (
            "cross_entropy",
            CLASSES[:4],
            ValueError,
            r"target: cross_entropy expects class indices of shape \(5,\), got shape \(4,\)",
        ),
        ("cross_entropy", CLASSES[:, None], ValueError, r"target: cross_entropy expects .* got shape \(5, 1\)"),
        ("cross_entropy", CLASSES.astype(float), ValueError, r"target: cross_entropy expects shape \(5, 4\)"),
        (
            "cross_entropy",
            CLASSES.astype(str),
            TypeError,
            "target: cross_entropy expects class indices .*, integers, got <U",
        ),
        (
            "cross_entropy",
            CLASSES.astype(bool),
            TypeError,
            "target: cross_entropy expects class indices .*, integers, got bool",
        ),
        (
            "cross_entropy",
            np.full(5, -100),
            ValueError,
            r"target: every index is ignore_index \(-100\), so cross_entropy has no mean",
        ),
        (
            "cross_entropy",
            changed(T, (1, 2), np.nan),
            ValueError,
            r"target\[1, 2\]: cross_entropy expects numbers between 0 and 1, got nan",
        ),
        ("cross_entropy", changed(T, (1, 2), 1.5), ValueError, r"target\[1, 2\]: .*, got 1\.5"),
        ("nll", CLASSES.astype(float), TypeError, "target: nll expects class indices .*, integers, got float64"),
        ("nll", np.full(5, -100), ValueError, "target: every index is ignore_index"),
        ("nll", changed(CLASSES, 0, -2), ValueError, r"target\[0\]: nll expects class indices from 0 to 3, got -2"),
        (
            "multi_margin",
            np.full(5, -100),
            ValueError,
            r"target\[0\]: multi_margin expects class indices from 0 to 3, got -100",
        ),
        ("multi_margin", T, TypeError, "target: multi_margin expects class indices"),
        (
            "bce_with_logits",
            changed(T, (4, 3), -0.25),
            ValueError,
            r"target\[4, 3\]: bce_with_logits expects numbers between 0 and 1",
        ),
        ("bce_with_logits", changed(T, (0, 0), np.nan), ValueError, r"target\[0, 0\]: .*, got nan"),
        ("bce", changed(T, (0, 1), 2.0), ValueError, r"target\[0, 1\]: bce expects numbers between 0 and 1, got 2\.0"),
        ("multilabel_soft_margin", changed(T, (0, 1), 2.0), ValueError, r"target\[0, 1\]: multilabel_soft_margin"),
        (
            "kl_div",
            changed(T, (0, 1), -1.0),
            ValueError,
            r"target\[0, 1\]: kl_div expects numbers of at least 0, got -1\.0",
        ),
        (
            "poisson_nll",
            changed(T, (0, 1), np.nan),
            ValueError,
            r"target\[0, 1\]: poisson_nll expects numbers of at least 0, got nan",
        ),
        (
            "soft_margin",
            changed(SIGNS, (3, 1), 0.0),
            ValueError,
            r"target\[3, 1\]: soft_margin expects -1 or 1, got 0\.0",
        ),
        (
            "hinge_embedding",
            changed(SIGNS, (3, 1), np.nan),
            ValueError,
            r"target\[3, 1\]: hinge_embedding expects -1 or 1, got nan",
        ),
        ("soft_margin", 2 * SIGNS.astype(int), ValueError, r"target\[0, 0\]: soft_margin expects -1 or 1, got 2"),
        ("mse", changed(T.astype(int), (2, 1), 2**53 + 1), ValueError, r"target\[2, 1\]: mse expects integers that fl"),
        ("bce_with_logits", SIGNS.astype(int), TypeError, "target: bce_with_logits expects floating numbers"),
        (
            "multilabel_margin",
            changed(LABELS, (1, 0), 4),
            ValueError,
            r"target\[1, 0\]: multilabel_margin expects label indices from 0 to 3",
        ),
        ("multilabel_margin", changed(LABELS, (1, 0), -2), ValueError, r"target\[1, 0\]: multilabel_margin .*, got -2"),
        (
            "multilabel_margin",
            T,
            TypeError,
            "target: multilabel_margin expects label indices of shape .*, integers, got float64",
        ),
        (
            "multilabel_margin",
            LABELS[:, :2],
            ValueError,
            r"target: multilabel_margin expects label indices of shape \(5, 4\), got \(5, 2\)",
        ),
    ],
)
def test_a_bad_target(loss, target, error, message):
    mlp = ref.MLP((ref.Layer(np.ones((4, 3)) / 8, None, "sigmoid"),))
    with pytest.raises(error, match=message):
        problem(network=mlp, loss=loss, target=target)


@pytest.mark.parametrize("labels", list(product(range(-1, 3), repeat=3)))
def test_every_row_of_labels_is_taken_and_counts_up_to_the_first_minus_one(labels):
    """What torch's loop does: a label that is listed twice counts twice, and what stands behind the first −1 not."""
    y = np.array([[0.5, -0.25, 0.75], [1.0, 0.125, -0.5]])
    target = np.array([[0, 1, 2], labels])
    listed = list(takewhile(lambda label: label >= 0, labels))
    expected = np.zeros((2, 3))
    for label in listed:
        for other in set(range(3)) - set(listed):
            if 1 - y[1, label] + y[1, other] > 0:
                expected[1, label] -= 1 / 3
                expected[1, other] += 1 / 3
    mlp = ref.MLP((ref.Layer(np.eye(3), None, "identity"),))
    found = ref.gradients(ref.Problem(mlp, y, target, "multilabel_margin", "sum"))
    np.testing.assert_allclose(found.input, expected, atol=1e-15)


INTEGERS = ("half_squared_error", "mse", "l1", "smooth_l1", "poisson_nll", "gaussian_nll", "soft_margin",
            "multilabel_soft_margin", "hinge_embedding")  # fmt: skip


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.int8])
@pytest.mark.parametrize("loss", INTEGERS)
def test_integers_are_real_numbers_where_torch_takes_them(loss, kind):
    target = np.ones((5, 4), kind)
    given, expected = problem(loss=loss, target=target), problem(loss=loss, target=target.astype(float))
    assert given.target.dtype == np.float64
    np.testing.assert_array_equal(ref.gradients(given).input, ref.gradients(expected).input)


@pytest.mark.parametrize("loss", [losses.cross_entropy, losses.nll])
def test_weights_that_add_up_to_nothing_have_no_mean(loss):
    row = loss(weight=np.array([1.0, -1.0, 2.0, 0.0]))
    target = np.array([0, 1, 3, 0, 1])
    with pytest.raises(
        ValueError, match=rf"target: the weights .*weight\[0\], of target\[0\].* {row.name} has no mean"
    ):
        problem(loss=row, target=target)
    assert problem(loss=row, target=target, reduction="sum").loss is row


def test_unsigned_and_small_integers_are_class_indices():
    for kind in (np.uint8, np.int32, np.int64):
        g = ref.gradients(problem(loss="cross_entropy", target=CLASSES.astype(kind)))
        assert g.loss.dtype == np.float64


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_all_may_be_ignored_where_nothing_is_divided(reduction):
    case = problem(loss="cross_entropy", target=np.full(5, -100), reduction=reduction)
    assert np.all(ref.loss_value(case) == 0)


@pytest.mark.parametrize(
    ("loss", "target", "message"),
    [
        ("bce", T, r"output\[0, 0\]: bce is defined for an output between 0 and 1, the network gives -3\.0"),
        (losses.poisson_nll(log_input=False), T, r"output\[0, 0\]: poisson_nll is defined for an output above"),
    ],
)
def test_an_output_outside_the_domain_of_the_loss(loss, target, message):
    mlp = ref.MLP((ref.Layer(-np.ones((4, 3)), None, "identity"),))
    with pytest.raises(ValueError, match=message):
        problem(network=mlp, x=X + 1, loss=loss, target=target)


@pytest.mark.parametrize(
    "loss",
    [
        losses.cross_entropy(weight=np.ones(3)),
        losses.cross_entropy(weight=np.ones(1)),
        losses.nll(weight=np.ones(5)),
        losses.multi_margin(weight=np.ones(5)),
    ],
    ids=lambda loss: f"{loss.name}({loss.outputs})",
)
def test_class_weights_of_another_number_of_classes(loss):
    with pytest.raises(ValueError, match=rf"loss: {loss.name} has weights for \d outputs, the network has 4"):
        problem(loss=loss, target=CLASSES)


def test_pos_weight_of_another_number_of_outputs():
    with pytest.raises(ValueError, match="loss: bce_with_logits has weights for 3 outputs, the network has 4"):
        problem(loss=losses.bce_with_logits(pos_weight=np.ones(3)))


def test_weights_of_two_lengths():
    with pytest.raises(ValueError, match=r"bce_with_logits: .*weight"):
        losses.bce_with_logits(weight=np.ones(3), pos_weight=np.ones(4))


def test_a_variance_that_does_not_fit_the_output():
    with pytest.raises(ValueError, match="loss: gaussian_nll has weights for 3 outputs, the network has 4"):
        problem(loss=losses.gaussian_nll(var=np.ones(3)))


def test_a_loss_of_many_numbers_has_no_single_gradient():
    case = problem(reduction="none")
    assert ref.loss_value(case).shape == (5, 4)
    with pytest.raises(ValueError, match='reduction "none" leaves a loss of many numbers'):
        ref.gradients(case)
