"""Drafts of cases."""

import numpy as np
import pytest

import reference as ref
from torch_compare.cases.draft import Draft, certify, draft, seen_flags


def test_flags_are_known_and_seen():
    made = draft("a", [([[1.0]], None, "relu")], [[0.0]], [[1.0]], note="n")
    assert certify(made).flags == ("batch_1", "kink", "no_bias")
    with pytest.raises(ValueError, match="a: no flag is named 'shiny'"):
        certify(Draft("a", made.problem, ("shiny",), "n"))


def test_a_subnormal_loss_is_no_subnormal_gradient():
    layer = ref.Layer(np.array([[1e-80]]), None, "identity")
    problem = ref.Problem(ref.MLP((layer,)), np.array([[1e-80]]), np.array([[0.0]]), "mse")
    assert seen_flags(problem, ref.certified_gradients(problem)) == {"batch_1", "no_bias"}
