"""Gradients before one scale: when known mistakes are asked for, and when they count."""

import numpy as np

import reference as ref
from benchmarks.implementations.transformers import gpt2, next_tokens
from reference.arithmetic.formats import FORMATS
from reference.rounding.scale import rounding_errors
from reference.rounding.statistics import MISTAKE
from torch_compare.mistakes.mistake import leaves_with
from torch_compare.mistakes.of_network import network_mistakes
from torch_compare.verdict.by_scale import ByScale

SINGLE = FORMATS["float32"]


def test_in_float32_a_mistake_counts_in_full_and_where_there_is_doubt():
    """√(2/π) cut to five digits in one layer of a transformer: no element and no leaf is beyond its limit."""
    problem = next_tokens(gpt2())
    right = ref.gradients(problem).leaves()
    rounding = rounding_errors(problem, SINGLE).wider(rounding_errors(problem, SINGLE, textbook=True))
    (mistake,) = (m for m in network_mistakes(problem) if m.where == "h.0.mlp.act" and "0.79788 " in m.what)
    wrong = leaves_with((mistake,), problem)

    def by(times):
        given = {place: np.float32(leaf + times * (wrong[place] - leaf)) for place, leaf in right.items()}
        return ByScale(problem, given, right, rounding, SINGLE)

    assert by(1).decisive.kind == MISTAKE
    assert by(0.5).within  # half of it is none
    assert MISTAKE not in by(0).in_limits()  # it costs nothing where there is no doubt
