"""A row of the table of losses cannot be made with a wrong gradient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import reference as ref
from reference import losses
from reference.losses.row import probe

FAULT = 1.001
"""A derivative that is wrong by one part in a thousand."""


@pytest.mark.parametrize("name", ref.LOSSES)
def test_a_wrong_loss_gradient_cannot_be_made(name):
    row = ref.LOSSES[name]
    assert replace(row) == row
    with pytest.raises(ValueError, match=f"'{name}': its gradient"):
        replace(row, gradient=lambda y, t: row.gradient(y, t) * FAULT)
    with pytest.raises(ValueError, match=f"'{name}': its gradient"):
        replace(row, gradient=lambda y, t: -row.gradient(y, t))


def test_a_loss_of_an_unknown_kind_of_target_cannot_be_made():
    with pytest.raises(ValueError, match="target kind 'text' is none of real, probabilities"):
        replace(ref.LOSSES["mse"], target="text")


@pytest.mark.parametrize("name", ref.LOSSES)
def test_every_loss_cites_its_formula_and_source(name):
    row = ref.LOSSES[name]
    assert row.name == name
    assert row.formula
    assert row.source


@pytest.mark.parametrize("example", [0, 1])
@pytest.mark.parametrize("name", ref.LOSSES)
def test_a_gradient_that_is_wrong_in_one_example_cannot_be_made(name, example):
    row = ref.LOSSES[name]

    def gradient(y, t):
        factor = np.ones((len(y), 1))
        factor[example] = FAULT
        return row.gradient(y, t) * factor

    with pytest.raises(ValueError, match=f"'{name}': its gradient"):
        replace(row, gradient=gradient)


@pytest.mark.parametrize("size", [1e-8, 1e8, 1e30])
def test_a_right_row_can_be_made_with_numbers_of_any_size(size):
    """AGREE is relative to the gradient where that is large, and absolute where it is small."""
    weight = np.array([1.0, 2.0, 3.0]) * size / 7
    for make in (losses.cross_entropy, losses.nll, losses.multilabel_soft_margin, losses.bce_with_logits):
        row = make(weight=weight)
        with pytest.raises(ValueError, match="its gradient"):
            replace(row, gradient=lambda y, t, row=row: row.gradient(y, t) * FAULT + (size < 1))


def test_an_error_far_below_one_is_a_rounding_even_where_the_loss_does_not_change():
    """Along the probe such a loss is constant: there is nothing that an error could be relative to."""
    _, _, direction = probe("real", 3)
    across = np.stack([-direction[:, 1], direction[:, 0], np.zeros(2)], axis=1) / 3
    row = replace(ref.LOSSES["mse"], value=lambda y, t: y * across, gradient=lambda y, t: across + 2.0**-40 * direction)
    assert np.sum(row.gradient(across, across) * direction) == 2.0**-40 * np.sum(direction**2)
    with pytest.raises(ValueError, match="its gradient"):
        replace(row, gradient=lambda y, t: across + 2.0**-32 * direction)
