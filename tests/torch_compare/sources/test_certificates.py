"""The certificate among the sources: it proves the reference, and the loss alone proves it."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings

import reference as ref
import torch_compare as tc
from reference.network.unchecked import unchecked
from reference.rounding.scale import FORMATS, rounding_errors
from tests.torch_compare.sources.helpers import small_problem, undecidable
from torch_compare.commands import cli
from torch_compare.files import problem_file
from torch_compare.sources import campaign
from torch_compare.sources.certificates import against_certificate, against_differences
from torch_compare.verdict.checks import expected_leaves


def with_derivative(problem, change):
    """The problem with the first layer's derivative changed, unchecked."""
    row = problem.mlp.layers[0].activation
    fields = {name: getattr(row, name) for name in row.__dataclass_fields__}
    other = unchecked(ref.Activation, **(fields | {"derivative": lambda z: change(row.derivative(z))}))
    first = problem.mlp.layers[0]
    layers = (unchecked(ref.Layer, weight=first.weight, bias=first.bias, activation=other), *problem.mlp.layers[1:])
    return problem.replace(network=unchecked(ref.MLP, layers=layers))


def outcomes(problem, given):
    fmt = FORMATS[str(problem.dtype)]
    accurate, textbook = (rounding_errors(problem, textbook=t) for t in (False, True))
    return {o.pair: o for o in against_certificate(problem, given, fmt, accurate, lambda: textbook, 0)}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_reference_and_torch_agree_with_the_certificate(dtype):
    problem = small_problem("gelu", dtype)
    own = ref.gradients(problem)
    torch = tc.SOURCES["torch"](problem)
    given = {n: g.leaves() for n, g in (("reference", own), ("torch", torch))}
    found = outcomes(problem, given)
    assert found["reference ~ certified"].verdict == "accurate"
    assert found["reference ~ certified"].scales < 8
    assert found["torch ~ certified"].verdict in ("accurate", "textbook")
    assert found["certified ~ multiprecision_difference"].verdict == "digits"
    assert found["certified ~ multiprecision_difference"].scales < 1e-100


def test_a_reference_that_is_off_by_1e_13_is_caught():
    problem = small_problem()
    wrong = {k: v * (1 + 1e-13) for k, v in expected_leaves(problem).items()}
    assert outcomes(problem, {"reference": wrong})["reference ~ certified"].verdict == "disagrees"


@pytest.mark.parametrize("activation", ["tanh", "gelu", "mish", "softsign"])
def test_a_formula_off_by_1e_30_is_caught_by_the_loss_alone(activation):
    """No float64 shows it; the certificate of the wrong formula and the differences of the loss part at 30 digits."""
    problem = small_problem(activation)
    assert against_differences(problem, 0, entries=20).verdict == "digits"

    def change(derivative):
        if isinstance(derivative, np.ndarray):
            return derivative
        return derivative + derivative * 2.0**-100  # 8e-31

    wrong = with_derivative(problem, change)
    assert np.array_equal(ref.gradients(wrong).input, ref.gradients(problem).input)
    assert against_differences(wrong, 0, entries=20).verdict == "disagrees"


def test_certificates_enclose_and_agree_with_differences():
    """Of 60 random problems most are judged; the others stand on a kink, or have gradients of 0."""
    verdicts = Counter()

    @given(tc.problems(dtypes=("float64",), max_depth=3, max_width=4, max_batch=3))
    @settings(max_examples=60)
    def hold(problem):
        found = ref.certified_gradients(problem)
        for leaf in found.leaves().values():
            good = leaf.resolved
            assert np.all(leaf.lower[good] <= leaf.nearest[good])
            assert np.all(leaf.nearest[good] <= leaf.upper[good])
        verdicts[str(against_differences(problem, 0).verdict)] += 1

    hold()
    assert verdicts.keys() <= {"digits", "not judged"}
    assert verdicts["digits"] > verdicts["not judged"]


def test_a_kink_that_no_precision_decides_is_unresolved_and_exits_with_3(tmp_path):
    problem = undecidable()
    found = ref.certified_gradients(problem)
    assert found.status == "unresolved"
    weight = found.layers[0].weight
    assert np.all(weight.lower <= 0)
    assert np.all(weight.upper >= 0)
    path = tmp_path / "kink.json"
    path.write_text(json.dumps(problem_file.encode(problem)))
    assert any(o.verdict == "unresolved" for o in campaign.replay(path))
    assert cli.main(["verify", "--replay", str(path)]) == cli.UNRESOLVED


@pytest.mark.parametrize("power", [-128, -131, -132, -140])
def test_the_formula_and_the_loss_agree_to_forty_digits_or_the_place_is_named(power):
    """2·10^−40 lies between 2^−131 and 2^−132; an error in the first layer's derivative stands in what lies below."""
    wrong = with_derivative(small_problem("tanh"), lambda d: d if isinstance(d, np.ndarray) else d + d * 2.0**power)
    outcome = against_differences(wrong, 0, entries=20)
    assert outcome.scales == pytest.approx(2.0**power, rel=1e-15)
    if power > -132:
        assert outcome.verdict == "disagrees"
        place, _, rest = outcome.text.partition(".flat[")
        assert place in ("layers[0].weight", "layers[0].bias", "input")
        assert "]: certified [" in rest
        assert ", difference " in rest
    else:
        assert (outcome.verdict, outcome.text) == ("digits", "")
