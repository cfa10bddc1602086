"""Training stops where it should and says why, can be interrupted anywhere, and does what its parts do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes, load_digits

import reference as ref
from reference import optimizers as opt
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from reference.training import checkpoint
from reference.training.training import Training, batch_order
from tests.helpers import DTYPES, assert_same, leaves
from tests.reference.training.helpers import OPTIMIZERS, exploding, one_weight, small_problem

BATCHES = (None, 6)


def assert_same_network(got, expected):
    for one, other in zip(leaves(got), leaves(expected), strict=True):
        assert_same(one, other)
        assert one.tobytes() == other.tobytes()


def assert_same_tree(got, expected, place="state"):
    assert type(got) is type(expected), place
    if isinstance(expected, dict):
        assert got.keys() == expected.keys(), place
        for key in expected:
            assert_same_tree(got[key], expected[key], f"{place}.{key}")
    elif isinstance(expected, tuple):
        assert len(got) == len(expected), place
        for index, pair in enumerate(zip(got, expected, strict=True)):
            assert_same_tree(*pair, f"{place}[{index}]")
    elif isinstance(expected, np.ndarray | np.generic):
        assert_same(got, expected, place)
        assert got.tobytes() == expected.tobytes(), place
    else:
        assert got == expected, place


def assert_same_training(got, expected):
    assert_same_network(got.mlp, expected.mlp)
    assert_same_tree(got.state, expected.state)
    assert_same(got.losses, expected.losses)
    assert got.evaluated == expected.evaluated
    assert (got.loss, got.steps, got.reached, got.stopped) == (
        expected.loss, expected.steps, expected.reached, expected.stopped
    )  # fmt: skip


# ── the loop does what its parts do ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [name for name, o in OPTIMIZERS.items() if not o.needs_evaluate])
@pytest.mark.parametrize("batch_size", BATCHES)
def test_a_training_is_gradients_and_updates_by_hand(name, batch_size):
    problem, optimizer = small_problem(), OPTIMIZERS[name]
    got = ref.train(problem, optimizer, max_steps=9, batch_size=batch_size, seed=3)
    mlp, state, losses = problem.mlp, optimizer.init(problem.mlp), []
    for step in range(9):
        chosen = slice(None)
        if batch_size is not None:
            epoch, place = divmod(step, 4)  # 6 + 6 + 6 + 2 of 20 examples
            chosen = batch_order(20, 3, epoch)[place * 6 : place * 6 + 6]
        g = ref.gradients(ref.Problem(mlp, problem.x[chosen], problem.target[chosen], "cross_entropy"))
        losses.append(g.loss)
        mlp, state = optimizer.update(mlp, g, state)
    assert_same_network(got.mlp, mlp)
    assert_same_tree(got.state, state)
    assert_same(got.losses, np.array(losses))
    assert got.loss == ref.loss_value(problem.replace(network=mlp))
    assert (got.steps, got.reached) == (9, False)


def test_lbfgs_evaluates_on_the_batch_of_its_step():
    problem, optimizer = small_problem(), opt.lbfgs(max_iter=3)
    got = ref.train(problem, optimizer, max_steps=2, batch_size=10, seed=1)
    mlp, state = problem.mlp, optimizer.init(problem.mlp)
    for part in np.split(batch_order(20, 1, 0), 2):
        batch = problem.replace(x=problem.x[part], target=problem.target[part])

        def evaluate(there, batch=batch):
            g = ref.gradients(batch.replace(network=there))
            return g.loss, g

        mlp, state = optimizer.update(mlp, evaluate(mlp)[1], state, evaluate)
    assert_same_network(got.mlp, mlp)


def test_a_network_with_its_data_is_a_problem():
    problem = small_problem()
    apart = ref.train(problem.mlp, opt.adam(), data=(problem.x, problem.target), loss="cross_entropy", max_steps=4)
    assert_same_training(apart, ref.train(problem, opt.adam(), max_steps=4))
    summed = ref.train(
        problem.mlp, opt.adam(), data=(problem.x, problem.target), loss="cross_entropy", reduction="sum", max_steps=4
    )
    assert_same_training(summed, ref.train(problem.replace(reduction="sum"), opt.adam(), max_steps=4))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_number_type_stays(dtype):
    got = ref.train(small_problem(dtype=dtype), opt.adam(), max_steps=3, batch_size=7)
    assert got.mlp.dtype == got.losses.dtype == got.loss.dtype == dtype


def test_nothing_that_was_given_is_changed():
    problem = small_problem()
    before = [array.copy() for array in leaves(problem)]
    first = ref.train(problem, opt.adam(), max_steps=3, batch_size=6)
    kept = [array.copy() for array in leaves(first.mlp)]
    ref.train(problem, opt.adam(), max_steps=6, batch_size=6, resume=first)
    for array, copy in zip([*leaves(problem), *leaves(first.mlp)], before + kept, strict=True):
        assert_same(array, copy)


def test_gradients_without_that_of_the_input_are_the_same():
    problem = small_problem()
    whole, part = ref.gradients(problem), ref.gradients(problem, to_input=False)
    assert part.input is None
    assert part.leaves().keys() == whole.leaves().keys() - {"input"}
    for place, leaf in part.leaves().items():
        assert_same(leaf, whole.leaves()[place], place)


# ── mini-batches ─────────────────────────────────────────────────────────────────────────────────────


@given(
    examples=st.integers(1, 30), share=st.floats(0, 1), seed=st.integers(0, 2**40), epochs=st.integers(1, 3),
)  # fmt: skip
def test_an_epoch_visits_every_example_once(examples, share, seed, epochs):
    """At w = 0 the summed |y − t| of a batch is the sum of its powers of two: it names its examples."""
    batch_size = max(1, round(share * examples))
    mlp = ref.MLP((ref.Layer(np.zeros((1, 1)), None, "identity"),))
    powers = 2.0 ** np.arange(examples)
    problem = ref.Problem(mlp, powers[:, None], powers[:, None], "l1", "sum")
    parts = -(-examples // batch_size)
    trained = ref.train(problem, opt.sgd(lr=0.0), max_steps=parts * epochs, batch_size=batch_size, seed=seed)
    for epoch in range(epochs):
        seen = [int(loss) for loss in trained.losses[epoch * parts : (epoch + 1) * parts]]
        assert sum(seen) == 2**examples - 1
        assert [loss.bit_count() for loss in seen[:-1]] == [batch_size] * (parts - 1)
        order = batch_order(examples, seed, epoch)
        assert seen == [int(powers[order[at : at + batch_size]].sum()) for at in range(0, examples, batch_size)]


def test_every_epoch_and_seed_has_an_order_of_its_own():
    orders = {tuple(batch_order(20, seed, epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_the_seed_decides_and_nothing_else_does():
    one, again, other = (ref.train(small_problem(), opt.adam(), max_steps=8, batch_size=6, seed=s) for s in (1, 1, 2))
    assert_same_training(one, again)
    assert not np.array_equal(one.losses, other.losses)
    np.random.seed(0)  # noqa: NPY002 (the global generator must not matter)
    assert_same_training(ref.train(small_problem(), opt.adam(), max_steps=8, batch_size=6, seed=1), one)


# ── where it stops ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("until", [0.3, 0.1, 1e-3, 1e-9])
def test_it_stops_at_the_first_parameters_that_reach_the_loss(until):
    """With η = ½ the loss is ½·4^−k after k steps, exactly."""
    expected = next(k for k in range(100) if 0.5 * 4.0**-k <= until)
    got = ref.train(one_weight(), opt.sgd(lr=0.5), until=until, max_steps=100)
    assert (got.reached, got.steps, got.loss) == (True, expected, 0.5 * 4.0**-expected)
    assert got.stopped == f"reached {until:.6g} after {expected} steps: loss {got.loss:.6g}"
    np.testing.assert_array_equal(got.losses, 0.5 * 4.0 ** -np.arange(expected))
    assert got.evaluated == tuple((k, 0.5 * 4.0**-k) for k in range(expected + 1))


def test_a_loss_that_is_met_exactly_is_reached():
    assert ref.train(one_weight(), opt.sgd(lr=0.5), until=0.125, max_steps=9).steps == 1
    below = float(np.nextafter(0.125, 0))
    assert ref.train(one_weight(), opt.sgd(lr=0.5), until=below, max_steps=9).steps == 2


def test_what_is_good_enough_already_is_left_alone():
    for batch_size in (None, 1):
        got = ref.train(one_weight(), opt.sgd(lr=0.5), until=0.5, max_steps=9, batch_size=batch_size)
        assert (got.reached, got.steps, len(got.losses)) == (True, 0, 0)
        assert got.evaluated == ((0, 0.5),)


def test_it_says_when_the_steps_ran_out():
    got = ref.train(one_weight(), opt.sgd(lr=0.5), until=1e-3, max_steps=2)
    assert (got.reached, got.stopped) == (False, "steps ran out after 2: loss 0.03125, above 0.001")
    assert ref.train(one_weight(), opt.sgd(lr=0.5), max_steps=2).stopped == "steps ran out after 2: loss 0.03125"


def test_the_last_step_may_be_the_one_that_reaches_it():
    got = ref.train(one_weight(), opt.sgd(lr=0.5), until=0.125, max_steps=1)
    assert (got.reached, got.steps, got.stopped) == (True, 1, "reached 0.125 after 1 steps: loss 0.125")


def test_mini_batches_are_asked_for_the_whole_loss_before_every_epoch():
    problem = small_problem()
    free = ref.train(problem, opt.adam(lr=0.02), max_steps=40, batch_size=6)
    assert free.evaluated == ()
    losses = [ref.train(problem, opt.adam(lr=0.02), max_steps=steps, batch_size=6).loss for steps in range(0, 41, 4)]
    until = float(losses[6])
    assert min(losses[:6]) > until
    got = ref.train(problem, opt.adam(lr=0.02), until=until, max_steps=40, batch_size=6)
    assert (got.reached, got.steps, got.loss) == (True, 24, losses[6])
    assert got.evaluated == tuple((4 * epoch, loss) for epoch, loss in enumerate(losses[:7]))


def test_the_callback_sees_every_step_before_its_update_and_may_stop_it():
    problem, seen = small_problem(), []

    def watch(step, loss, mlp, g):
        here = ref.gradients(problem.replace(network=mlp))
        assert loss == here.loss
        assert_same(g.layers[0].weight, here.layers[0].weight)
        seen.append(step)
        return step == 5

    got = ref.train(problem, opt.adam(), max_steps=9, callback=watch)
    assert seen == [1, 2, 3, 4, 5]
    assert (got.steps, got.reached) == (4, False)
    assert got.stopped == f"the callback stopped it at step 5: loss {got.loss:.6g}"
    assert_same_network(got.mlp, ref.train(problem, opt.adam(), max_steps=4).mlp)


def test_a_callback_that_returns_something_else_stops_nothing():
    assert ref.train(small_problem(), opt.adam(), max_steps=3, callback=lambda *_: "yes").steps == 3


@pytest.mark.parametrize("batch_size", BATCHES)
def test_zero_steps(batch_size):
    problem = small_problem()
    got = ref.train(problem, opt.adam(), max_steps=0, batch_size=batch_size)
    assert_same_network(got.mlp, problem.mlp)
    assert (got.steps, got.loss) == (0, ref.loss_value(problem))


def test_the_bar_changes_nothing_and_is_shown_on_standard_error(capsys):
    shown = ref.train(small_problem(), opt.adam(), max_steps=4, progress=True)
    assert_same_training(shown, ref.train(small_problem(), opt.adam(), max_steps=4))
    captured = capsys.readouterr()
    assert "loss" in captured.err
    assert captured.out == ""


# ── real data ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "lbfgs"])
def test_on_real_data_the_loss_falls_to_what_was_asked_for_and_no_further(name):
    x, y = load_diabetes(return_X_y=True)
    x, y = ((a - a.mean(axis=0)) / a.std(axis=0) for a in (x, y[:, None]))
    optimizer = {"sgd": opt.sgd(lr=0.1), "adam": opt.adam(lr=0.01), "rmsprop": opt.rmsprop(lr=1e-3),
                 "lbfgs": opt.lbfgs(max_iter=4, line_search_fn="strong_wolfe")}[name]  # fmt: skip
    mlp = ref.initialize([10, 8, 1], ["tanh", "identity"], seed=0)
    got = ref.train(ref.Problem(mlp, x, y, "half_squared_error"), optimizer, until=0.25, max_steps=1000)
    *before, last = (loss for _, loss in got.evaluated)
    assert got.reached
    assert 0 < got.steps < 1000
    assert last <= 0.25 < min(before)
    assert got.loss == last == ref.loss_value(ref.Problem(got.mlp, x, y, "half_squared_error"))


def test_the_digits_are_learnt_to_a_loss():
    pixels, labels = load_digits(return_X_y=True)
    mlp = ref.initialize([64, 32, 10], ["relu", "identity"], seed=0)
    problem = ref.Problem(mlp, pixels / 16, labels, "cross_entropy")
    got = ref.train(problem, opt.adam(lr=3e-3), until=0.1, max_steps=5000, batch_size=64)
    *before, (step, last) = got.evaluated
    assert got.reached
    assert step == got.steps
    assert step % 29 == 0
    assert last <= 0.1 < min(loss for _, loss in before)
    right = ref.forward(got.mlp, problem.x).output.argmax(axis=1) == labels
    assert np.mean(right) > 0.95


# ── interrupted ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_interruption_leaves_no_trace(name, batch_size, tmp_path):
    """Stopped after 0, 1, 4 (an epoch) and 5 steps, and resumed from memory and from a file."""
    problem, optimizer = small_problem(), OPTIMIZERS[name]
    whole = ref.train(problem, optimizer, until=1e-9, max_steps=7, batch_size=batch_size, seed=2)
    for cut in (0, 1, 4, 5):
        arguments = {"until": 1e-9, "batch_size": batch_size, "seed": 2}
        part = ref.train(problem, optimizer, max_steps=cut, **arguments)
        assert_same_training(ref.train(problem, optimizer, max_steps=7, resume=part, **arguments), whole)
        checkpoint.save(tmp_path / "file", part.mlp, part.state, {"steps": part.steps})
        mlp, state, extra = checkpoint.load(tmp_path / "file", problem.mlp)
        resumed = ref.train(
            problem.replace(network=mlp), optimizer, max_steps=7, resume=(state, extra["steps"]), **arguments
        )
        assert_same_network(resumed.mlp, whole.mlp)
        assert_same_tree(resumed.state, whole.state)
        assert_same(resumed.losses, whole.losses[part.steps :])
        assert (resumed.steps, resumed.stopped) == (whole.steps, whole.stopped)


def test_a_resumption_with_a_mistake_leaves_a_trace():
    """The comparison above can fail: a state of the wrong step, and batches of another seed."""
    problem = small_problem()
    whole = ref.train(problem, opt.adam(), max_steps=7, batch_size=6)
    part = ref.train(problem, opt.adam(), max_steps=4, batch_size=6)
    start = problem.replace(network=part.mlp)
    for changes in ({"resume": (opt.adam().init(part.mlp), 4)}, {"resume": (part.state, 3)},
                    {"resume": (part.state, 4), "seed": 1}):  # fmt: skip
        resumed = ref.train(start, opt.adam(), max_steps=7, batch_size=6, **changes)
        with pytest.raises(AssertionError):
            assert_same_network(resumed.mlp, whole.mlp)


def test_a_training_that_is_over_is_over():
    done = ref.train(one_weight(), opt.sgd(lr=0.5), until=0.01, max_steps=50)
    again = ref.train(one_weight(), opt.sgd(lr=0.5), until=0.01, max_steps=50, resume=done)
    assert_same_training(again, done)
    further = ref.train(one_weight(), opt.sgd(lr=0.5), until=1e-4, max_steps=50, resume=done)
    assert_same_training(further, ref.train(one_weight(), opt.sgd(lr=0.5), until=1e-4, max_steps=50))


# ── when the loss is not finite ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("batch_size", [None, 1])
def test_a_training_that_diverges_stops_by_itself(batch_size):
    got = ref.train(exploding(), opt.sgd(lr=10.0), until=1e-3, max_steps=1000, batch_size=batch_size)
    assert not got.reached
    assert got.steps < 100
    assert np.all(np.isfinite(got.losses))
    assert f"at step {got.steps + 1}: " in got.stopped


# ── other arithmetics ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "rmsprop", "adafactor"])
def test_a_noisy_training_spreads_around_the_plain_one(name, batch_size):
    problem = small_problem()
    source = NoiseSource(get_format("float64"), 8, np.random.default_rng(0))
    noisy = problem.map(lambda values: Noisy.exact(values, source))
    arguments = {"max_steps": 6, "batch_size": batch_size, "until": 1e-9}
    got, plain = (ref.train(p, OPTIMIZERS[name], **arguments) for p in (noisy, problem))
    assert got.losses.shape == (6,)
    sigma = np.array([loss.spread() for loss in got.losses])
    assert np.all((sigma > 0) & (sigma < 1e-13))
    assert np.all(np.abs([loss.data[0] for loss in got.losses] - plain.losses) <= 32 * sigma)
    assert got.stopped == plain.stopped


# ── bad input ────────────────────────────────────────────────────────────────────────────────────────


def test_a_training_is_frozen():
    with pytest.raises(AttributeError):
        ref.train(one_weight(), opt.sgd(), max_steps=1).steps = 3
    assert ref.Training is Training
