"""Rows of operations as data, and what a step is said to make before it is run."""

import numpy as np
import pytest

import reference as ref
from reference.operations import MAKERS, OPERATIONS
from torch_compare.cases.operation_inputs import ENTRIES, input_at
from torch_compare.files.operations_as_data import decode_operation, encode_operation, require_modest
from torch_compare.files.step_sizes import size_of, work_of

ROWS = [*OPERATIONS.values(), *(MAKERS[name](**given) for name in MAKERS for given, _ in ENTRIES[name])]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_row_comes_back(row):
    data = encode_operation(row)
    again = decode_operation("row", data)
    assert again == row
    assert encode_operation(again) == data


@pytest.mark.parametrize("row", [
    ref.operations.of_activation("softmax", 1), ref.operations.of_activation(ref.activations.leaky_relu(0.3)),
    ref.operations.of_activation(ref.activations.softplus(2.0)),
])  # fmt: skip
def test_activations_with_an_axis_or_parameters_come_back(row):
    assert decode_operation("row", encode_operation(row)) == row != OPERATIONS[row.name]


def test_what_a_step_makes_is_never_more_than_was_said():
    """Of every probe and every committed input: a row that grows has its bound in `step_sizes`."""
    for row, inputs in [*_probes(), *_entries()]:
        made = row.value(*inputs)
        largest = max(np.size(part) for part in (made if isinstance(made, tuple) else (made,)))
        assert largest <= size_of(row, [None if one is None else np.shape(one) for one in inputs]), row.name


def _probes():
    return [(row, inputs) for row in ROWS for inputs in row.probes]


def _entries():
    for name in MAKERS:
        for parameters, given in ENTRIES[name]:
            yield MAKERS[name](**parameters), [input_at(one, k) for k, one in enumerate(given)]


@pytest.mark.parametrize(("name", "shapes", "size", "work"), [
    ("linear", [(100, 64), (32, 64)], 6400, 6400 * 64), ("outer", [(500,), (400,)], 200_000, 0),
    ("matmul", [(8, 30, 40), (40, 50)], 12_000, 12_000 * 50), ("add", [(7, 1), (5,)], 35, 0),
    ("embedding", [(9, 4), (10, 6)], 276, 0),
    ("conv2d", [(2, 3, 8, 8), (5, 3, 3, 3)], 2 * 27 * 36, 2 * 27 * 36 * 5),
    ("conv_transpose1d", [(4, 10), (4, 3, 2)], 60, 60 * 4),
    ("scaled_dot_product_attention", [(2, 60, 4), (2, 80, 4), (2, 80, 4)], 9600, 38400),
])  # fmt: skip
def test_sizes(name, shapes, size, work):
    row = OPERATIONS[name]
    assert (size_of(row, shapes), work_of(row, shapes)) == (size, work)


def test_ordinary_parameters_are_modest():
    for name, parameters in (
        ("reshape", {"shape": (8, 128, 256)}), ("expand", {"size": (32, 128, 256)}),
        ("select", {"dim": 1, "index": 5000}), ("pad", {"pad": (1, 1, 1, 1)}),
        ("conv2d", {"stride": 2, "padding": 3, "groups": 2048}), ("conv1d", {"dilation": 512, "padding": "same"}),
        ("conv_transpose3d", {"stride": 2, "padding": 1, "output_padding": 1}),
        ("layer_norm", {"normalized_shape": (4096,)}), ("split", {"split_size_or_sections": 768}),
    ):  # fmt: skip
        assert require_modest("row", name, parameters) > 0
