"""Large batches in narrow networks: how large, how many, and what their terms are."""

import numpy as np
import pytest

import reference as ref
from torch_compare.random_problems.crowded import SHARE, crowd, sometimes_crowded
from torch_compare.random_problems.spec import MAX_BATCH, TERMS, Spec, build, random_spec


def crowded(count):
    rngs = (np.random.default_rng([17, case]) for case in range(count))
    return [crowd(rng, random_spec(rng, case, "float64")) for case, rng in enumerate(rngs)]


def test_batches_reach_8192_in_narrow_networks_and_every_feature_occurs():
    specs = crowded(400)
    assert MAX_BATCH < min(s.batch for s in specs) < 40
    assert 7500 < max(s.batch for s in specs) <= 8192
    assert {width for s in specs for width in s.widths} == {1, 2, 3, 4}
    assert {len(s.activations) for s in specs} == {1, 2, 3}
    assert set(TERMS) <= {f for s in specs for f in s.features}


def test_all_of_them_can_be_built():
    for spec in crowded(60):
        assert all(np.all(np.isfinite(leaf)) for leaf in ref.gradients(build(spec)).leaves().values())


def test_they_are_a_small_share_and_leave_the_others_as_they_were():
    def drawn(case):
        rng = np.random.default_rng([4, case])
        return random_spec(rng, case, "float64"), rng

    pairs = [(spec, sometimes_crowded(rng, spec)) for spec, rng in map(drawn, range(2000))]
    changed = [b for a, b in pairs if a != b]
    assert SHARE / 2 < len(changed) / len(pairs) < 2 * SHARE
    assert all(spec.batch > MAX_BATCH for spec in changed)


def terms(loss, *features):
    problem = build(Spec((2, 3), ("identity",), loss, 50, 1, features=features, variants=False))
    y = ref.forward(problem.mlp, problem.x).output
    return problem, problem.loss.gradient(y, problem.target)


def test_the_features_make_terms_equal_or_of_one_sign():
    for loss in ("mse", "bce_with_logits", "cross_entropy"):
        _, d_y = terms(loss, "equal_rows")
        assert np.all(d_y == d_y[0])
        assert np.any(d_y != 0)
        problem, d_y = terms(loss, "one_sign")
        assert np.all((d_y >= 0).all(axis=0) | (d_y <= 0).all(axis=0))
        assert np.all(problem.x >= 0)
        assert len(np.unique(problem.x)) > 1
        problem, d_y = terms(loss, "zero_weights")
        assert np.all(ref.forward(problem.mlp, problem.x).output == 0)


@pytest.mark.parametrize("loss", list(ref.LOSSES))
def test_every_loss_can_have_them(loss):
    output = {"bce": "sigmoid", "nll": "log_softmax", "kl_div": "log_softmax"}.get(loss, "identity")
    for feature in TERMS:
        assert build(Spec((2, 3), (output,), loss, 40, 3, features=(feature,))).x.shape == (40, 2)
