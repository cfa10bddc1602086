"""A row of the table of losses cannot be made with a wrong gradient."""

from __future__ import annotations

from dataclasses import replace

import pytest

import reference as ref

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
