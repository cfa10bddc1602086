"""At how many bits balls are computed, and truth values with a third state."""

import operator
import os
import pickle
import subprocess
import sys
import threading
from itertools import product

import numpy as np
import pytest
from flint import arb, ctx

from reference.arithmetic.ball_decisions import Mask, Undecided, precision


@pytest.fixture(autouse=True)
def _bits():
    with precision(128):
        yield


def test_precision_is_restored_and_kept_from_other_threads():
    before, seen = ctx.prec, []

    def other():
        with precision(300):
            seen.append(ctx.prec)

    thread = threading.Thread(target=other)
    with precision(200):
        thread.start()
        thread.join(0.05)
        assert (ctx.prec, seen) == (200, [])
    with pytest.raises(ZeroDivisionError), precision(77):
        raise ZeroDivisionError
    assert ctx.prec == before
    # this test's fixture holds the lock, so that the thread ends only after it
    assert thread.is_alive()


STATES = ({True}, {False}, {True, False})
"""What a truth value may turn out to be: certainly true, certainly false, undecided."""


def mask(states):
    """The truth values of which each may be any of a set."""
    return Mask(np.array([s == {True} for s in states]), np.array([True in s for s in states]))


def assert_same_mask(got, expected):
    assert isinstance(got, Mask)
    assert got.certain.tolist() == expected.certain.tolist()
    assert got.possible.tolist() == expected.possible.tolist()


def test_a_negation_holds_whatever_the_value_turns_out_to_be():
    assert_same_mask(~mask(STATES), mask([{not v for v in s} for s in STATES]))
    assert (~mask(STATES)).undecided.tolist() == [False, False, True]


@pytest.mark.parametrize("f", [operator.and_, operator.or_])
def test_what_two_masks_make_holds_whatever_they_turn_out_to_be(f):
    pairs = list(product(STATES, STATES))
    left, right = (mask([pair[k] for pair in pairs]) for k in (0, 1))
    assert_same_mask(f(left, right), mask([{f(v, w) for v in a for w in b} for a, b in pairs]))


@pytest.mark.parametrize("f", [operator.and_, operator.or_])
def test_a_mask_and_an_array_of_truth_values_in_either_order(f):
    pairs = list(product(STATES, (True, False)))
    left, right = mask([s for s, _ in pairs]), np.array([v for _, v in pairs])
    expected = mask([{f(v, w) for v in s} for s, w in pairs])
    assert_same_mask(f(left, right), expected)
    assert_same_mask(f(right, left), expected)


FORKS = """
import os, signal, sys, threading, warnings
from flint import ctx
import numpy as np, reference as ref
from reference.arithmetic.ball_decisions import precision

warnings.simplefilter("ignore")  # Python 3.12 warns of what is tried here
problem = ref.Problem(ref.initialize([2, 1], ["tanh"], seed=0), np.ones((1, 2)), np.ones((1, 1)), "mse")
begun, ended, usual = threading.Event(), threading.Event(), ctx.prec

def certify():
    with precision(777):
        begun.set()
        ended.wait(30)

def fork():
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # a child that hangs ends by itself
        right = INSIDE or ctx.prec == usual
        os._exit(0 if right and ref.certified_gradients(problem).status == "certified" else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

INSIDE = sys.argv[1] == "inside"
if INSIDE:  # the thread that forks is itself at work
    with precision(777):
        code = fork()
else:
    thread = threading.Thread(target=certify)
    thread.start()
    begun.wait()
    code = fork()
    ended.set()
    thread.join()
assert ctx.prec == usual
assert ref.certified_gradients(problem).status == "certified"
sys.exit(code)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("where", ["beside", "inside"])
def test_a_fork_while_a_thread_certifies_does_not_hang(where):
    assert subprocess.run([sys.executable, "-c", FORKS, where], timeout=60, check=False).returncode == 0


def test_an_undecided_comparison_comes_through_to_another_process():
    error = Undecided("greater", (1, 2), arb(1), arb(2))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.comparison, again.index) == (str(error), "greater", (1, 2))
