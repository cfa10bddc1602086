"""Backward passes made of replaceable steps."""

import torch_compare as tc
from torch_compare.mistakes import planted, rules


def test_the_faulty_pass_without_a_fault_is_right():
    problem = planted.planted_problem("tanh", "half_squared_error")
    tc.assert_gradients(problem, rules.backward_with(rules.RIGHT, problem))
