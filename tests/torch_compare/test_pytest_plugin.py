"""The pytest plugin: tests of a user that pass and that fail, and what pytest then says."""

import subprocess
import sys

import pytest

pytest_plugins = ("pytester",)

PROBLEM = """
import numpy as np, reference as ref

def my_gradients(problem, factor=1.0):
    return ref.gradients(problem).map(lambda leaf: factor * leaf)

rng = np.random.default_rng(0)
mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=0)
PROBLEM = ref.Problem(mlp, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "mse")
"""


def run(pytester, text, *options):
    """A run of pytest on such a file in a process of its own, as a user's is."""
    pytester.makepyfile(PROBLEM + text)
    return pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-W", "error", *options)


def test_tests_that_should_pass_pass(pytester):
    result = run(
        pytester,
        """
def test_asserting(gradient_oracle):
    gradient_oracle.assert_gradients(PROBLEM, my_gradients(PROBLEM))
    half = my_gradients(PROBLEM).map(lambda leaf: leaf.astype(np.float32))
    gradient_oracle.assert_gradients(PROBLEM, half, "bfloat16", accumulate="float32", certified=True, diagnose=False)

def test_checking(gradient_oracle):
    assert gradient_oracle.check(PROBLEM, my_gradients(PROBLEM)).agrees
    assert gradient_oracle.check(PROBLEM, my_gradients(PROBLEM, -1)).diagnosis.names == ("sign",)

def test_cases(gradient_oracle):
    named = gradient_oracle.cases("kink", "float32")
    assert 0 < len(named) < len(gradient_oracle.cases())
    assert all({"kink", "float32"} <= set(case.flags) for case in named)
    case = named[0]
    gradient_oracle.assert_gradients(case.problem, my_gradients(case.problem), certified=case.certified)

def test_no_such_flag(gradient_oracle):
    import pytest
    with pytest.raises(ValueError, match="flags: expected some of activation, .*, got 'kinks'"):
        gradient_oracle.cases("kinks")
""",
    )
    result.assert_outcomes(passed=4)


def test_what_fails_shows_its_verdict(pytester):
    result = run(
        pytester,
        """
def test_asserting(gradient_oracle):
    gradient_oracle.assert_gradients(PROBLEM, my_gradients(PROBLEM, 2.0))

def test_checking(gradient_oracle):
    assert gradient_oracle.check(PROBLEM, my_gradients(PROBLEM)).agrees
    assert gradient_oracle.check(PROBLEM, my_gradients(PROBLEM, -1.0)).agrees

def test_module(gradient_oracle):
    import torch
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
    arguments = module, torch.tensor(PROBLEM.x), torch.tensor(PROBLEM.target), torch.nn.MSELoss()
    assert gradient_oracle.check_module(*arguments).agrees
    assert gradient_oracle.check_module(*arguments, "float32", diagnose=False).dtype == "float32"
    module[0].weight.register_hook(lambda grad: 2 * grad)
    assert gradient_oracle.check_module(*arguments).agrees

def test_something_else():
    assert not PROBLEM.mlp
""",
    )
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        [
            "*test_asserting*",
            ">*gradient_oracle.assert_gradients(PROBLEM, my_gradients(PROBLEM, 2.0))",
            "E  *AssertionError: wrong (float64, textbook scale)",
            "E  *worst at *rounding scales*",
            "E  *diagnosis: every gradient: yours = oracle × 2 to * everywhere*",
            "*test_checking*",
            "*- gradient-oracle -*",
            "wrong (float64, textbook scale)",
            "*diagnosis: every gradient: yours = oracle × -1 *",
            "*test_module*",
            "*- gradient-oracle -*",
            "*worst at layers[[]0].weight[[]*",
            "*diagnosis: layers[[]0].weight: yours = oracle × 2 to * everywhere*",
        ]
    )
    text = result.stdout.str()
    assert text.count("- gradient-oracle -") == 2, "the test that uses no oracle has no section of it"
    assert "torch_compare/verdict/checks.py" not in text, "no line of this package is shown"


def test_nothing_is_imported_until_a_test_asks(pytester):
    """Neither by pytest's start nor by the plugin: not this package's modules, nor what they need."""
    heavy = ("torch", "hypothesis", "numpy", "scipy", "flint", "rich", "reference", "torch_compare.verdict")
    code = f"import sys, torch_compare.pytest_plugin; sys.exit(' '.join(set({heavy}) & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pytester.makepyfile("def test_nothing(): pass")
    pytester.makeconftest(
        f"""
import sys
def pytest_sessionfinish():
    print("imported:", sorted(set({heavy}) & set(sys.modules) - {{"hypothesis"}}))
"""
    )
    # hypothesis brings a plugin of its own
    result = pytester.runpytest_subprocess("-q", "-s", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*imported: [[][]]*"])


@pytest.mark.parametrize("name", ["check", "problems", "SOURCES"])
def test_names_of_the_package_are_imported_where_they_are_used(name):
    import torch_compare

    assert name in dir(torch_compare)
    assert getattr(torch_compare, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'chek'"):
        _ = torch_compare.chek
