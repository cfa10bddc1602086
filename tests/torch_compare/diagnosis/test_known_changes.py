"""The directions of known mistakes: all of a transformer of two layers are within the work that may be spent."""

import numpy as np
import pytest

import reference as ref
from benchmarks.implementations.transformers import gpt2, llama, next_tokens
from reference.rounding.scale import Rounding
from reference.rounding.statistics import Whitened
from torch_compare.diagnosis.known_changes import known_changes
from torch_compare.mistakes.rates import rate_mistakes
from torch_compare.mistakes.single import single_mistakes


@pytest.mark.parametrize("build", [gpt2, llama])
def test_none_of_a_transformer_is_left_out(build):
    """In bfloat16 no element shows some of them: one that is left out is let through."""
    problem = next_tokens(build())
    right = ref.gradients(problem).leaves()
    one = {place: np.ones(np.shape(leaf)) for place, leaf in right.items()}
    rounding = Rounding(one, {place: np.ones((2, *np.shape(leaf)), np.float32) for place, leaf in right.items()})
    white = Whitened.of(right, right, rounding)
    made = [mistake for mistake, _ in known_changes(problem, white, right, rounding)]
    of_rates = [mistake(0.0, 0.0) for mistake in rate_mistakes(problem)]
    assert [m.key for m in made] == [m.key for m in (*single_mistakes(problem), *of_rates)]
    assert len(of_rates) == 4
