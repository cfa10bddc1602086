"""A network of ours and one of torch's in lockstep, through random sequences of everything that training does.

What is compared with what. The gradients are compared where both are computed from the same numbers: torch's own
parameters, read back. The steps are compared from the same gradients: torch's, which then are known to be right, go to
both optimisers. Nothing is synchronised in between, so the two drift apart by the rounding errors of their steps and by
nothing else; a third player, the same optimiser on `Noisy`, gets the same gradients and measures how far that may be,
element by element, over the whole history. Only where one side goes on from the other's parameters and state does the
history begin anew.
"""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import reference as ref
import torch_compare as tc
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from reference.optimizers import OPTIMIZERS
from reference.rounding.distance import FACTOR
from reference.rounding.scale import rounding_scale
from tests.helpers import assert_same
from torch_compare.torch_side.gradients import torch_loss
from torch_compare.torch_side.optimizer_deviations import as_torch
from torch_compare.torch_side.optimizers import Twin
from torch_compare.trajectories.random_trajectories import HYPERPARAMETERS

SEEDS = st.integers(0, 2**32 - 1)
LOSSES = ("mse", "half_squared_error", "cross_entropy")


def flat(mlp):
    return [a for layer in mlp.layers for a in (layer.weight, layer.bias) if a is not None]


def with_arrays(mlp, arrays):
    """The network with other numbers."""
    rest = iter(arrays)
    layers = (
        ref.Layer(next(rest), None if layer.bias is None else next(rest), layer.activation) for layer in mlp.layers
    )
    return ref.MLP(tuple(layers))


def flat_gradients(g):
    return [a for layer in g.layers for a in (layer.weight, layer.bias) if a is not None]


class Lockstep(RuleBasedStateMachine):
    """The machine; faults are planted by overriding `saved_and_loaded`, `changed_rate` or `torch_gradients`."""

    @initialize(
        name=st.sampled_from(sorted(HYPERPARAMETERS)),
        seed=SEEDS,
        width=st.integers(1, 4),
        activation=st.sampled_from(["tanh", "relu", "gelu"]),
        bias=st.booleans(),
        dtype=st.sampled_from(["float64", "float32"]),
    )
    def begin(self, name, seed, width, activation, bias, dtype):
        """Hyperparameters that keep every number finite: a centred variance can round below 0, and an ε be 0."""
        drawn = HYPERPARAMETERS[name](np.random.default_rng(seed))
        drawn |= {"lr": drawn["lr"] / 10}
        drawn |= {key: value for key, value in (("centered", False), ("eps", drawn.get("eps") or 1e-8)) if key in drawn}
        self.name, self.hyperparameters = name, drawn
        # torch's load_state_dict changes the arithmetic of NAdam in float64: see optimizer_deviations
        self.dtype = np.dtype("float32" if name == "nadam" else dtype)
        self.mlp = ref.initialize([3, width, 2], [activation, "identity"], seed=seed, bias=bias, dtype=self.dtype)
        self.state = self.optimizer().init(self.mlp)
        self.twin = Twin(self.optimizer(), flat(self.mlp))
        self.source = NoiseSource(get_format(self.dtype), 32, np.random.default_rng(0))
        self.begin_noise()
        self.grads = None
        self.new_batch(seed, LOSSES[0])

    def optimizer(self):
        return as_torch(OPTIMIZERS[self.name](**self.hyperparameters), self.dtype)[0]

    def begin_noise(self):
        """The third player, without an error so far, where ours is now."""
        self.noisy = [Noisy.exact(a, self.source) for a in flat(self.mlp)]
        self.noisy_state = {
            key: slot if key == "step" else tuple(Noisy.exact(a, self.source) for a in slot)
            for key, slot in self.state.items()
        }

    def torchs_problem(self):
        return ref.Problem(with_arrays(self.mlp, self.twin.params), self.x, self.target, self.loss)

    @rule(seed=SEEDS, loss=st.sampled_from(LOSSES))
    def new_batch(self, seed, loss):
        rng = np.random.default_rng(seed)
        examples = int(rng.integers(1, 5))
        self.x, self.loss = rng.normal(size=(examples, 3)).astype(self.dtype), loss
        classes, values = rng.integers(0, 2, examples), rng.normal(size=(examples, 2)).astype(self.dtype)
        self.target = classes if loss == "cross_entropy" else values

    @rule()
    def forward(self):
        problem = self.torchs_problem()
        scale = rounding_scale(problem, textbook=True).loss
        assert abs(float(torch_loss(problem)) - float(ref.loss_value(problem))) <= FACTOR * scale

    @rule()
    def backward(self):
        problem = self.torchs_problem()
        found = self.torch_gradients(problem)
        tc.assert_gradients(problem, found)
        self.grads = found

    def torch_gradients(self, problem):
        return tc.SOURCES["torch"](problem)

    @precondition(lambda self: self.grads is not None)
    @rule()
    def step(self):
        slopes = flat_gradients(self.grads)
        self.mlp, self.state = self.optimizer().update(self.mlp, self.grads, self.state)
        self.twin.step(slopes)
        plain = OPTIMIZERS[self.name](**self.hyperparameters)
        noisy_slopes = [Noisy.exact(a, self.source) for a in slopes]
        self.noisy, self.noisy_state = plain.update(self.noisy, noisy_slopes, self.noisy_state)

    @rule(steps=st.integers(1, 5))
    def train(self, steps):
        for _ in range(steps):
            self.backward()
            self.step()

    @rule(factor=st.sampled_from([0.5, 0.9, 2.0]))
    def change_the_learning_rate(self, factor):
        rate = min(self.hyperparameters["lr"] * factor, 0.1)
        self.hyperparameters = self.hyperparameters | {"lr": self.changed_rate(self.hyperparameters["lr"], rate)}
        self.twin.set(lr=rate)

    def changed_rate(self, old, new):  # noqa: ARG002  for the faults
        return new

    @rule()
    def save_and_load(self):
        mlp, state = self.saved_and_loaded(self.mlp, self.state)
        for before, after in zip(flat(self.mlp), flat(mlp), strict=True):
            assert_same(after, before)
        self.mlp, self.state = mlp, state
        kept = self.twin._optimizer
        self.twin._optimizer = type(kept)(self.twin._tensors)
        self.twin._optimizer.load_state_dict(kept.state_dict())

    def saved_and_loaded(self, mlp, state):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "training.safetensors"
            ref.checkpoint.save(path, mlp, state, extra={"hyperparameters": self.hyperparameters})
            loaded, kept, extra = ref.checkpoint.load(path, with_arrays(mlp, [0 * a for a in flat(mlp)]))
        assert extra["hyperparameters"] == self.hyperparameters
        return loaded, kept

    @rule()
    def torch_goes_on_from_ours(self):
        self.twin = Twin(self.optimizer(), flat(self.mlp))
        self.twin.load(flat(self.mlp), self.state)
        self.begin_noise()

    @precondition(lambda self: self.state["step"] > 0)
    @rule()
    def ours_goes_on_from_torchs(self):
        self.mlp, self.state = with_arrays(self.mlp, self.twin.params), self.twin.state
        self.begin_noise()

    @invariant()
    def they_are_together(self):
        if not hasattr(self, "twin"):
            return
        assert self.state["step"] == self.twin.steps
        for ours, theirs, noisy in zip(flat(self.mlp), self.twin.params, self.noisy, strict=True):
            assert ours.dtype == theirs.dtype == self.dtype
            assert ours.shape == theirs.shape
            assert np.all(np.isfinite(ours))
            apart = np.abs(ours.astype(float) - theirs)
            assert np.all(apart <= FACTOR * noisy.spread()), f"{self.name}: apart by {apart.max()}"


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}
Lockstep.TestCase.settings = settings(max_examples=30, stateful_step_count=20, **QUIET)
TestLockstep = Lockstep.TestCase


# ── planted faults ───────────────────────────────────────────────────────────────────────────────────


class ForgetsTheStep(Lockstep):
    """After loading, the count of steps begins at 1, as in a checkpoint of arrays alone."""

    def saved_and_loaded(self, mlp, state):
        mlp, state = super().saved_and_loaded(mlp, state)
        return mlp, state | {"step": 0}


class ForgetsTheSlots(Lockstep):
    """After loading, the running means are those of a new optimiser."""

    def saved_and_loaded(self, mlp, state):
        mlp, state = super().saved_and_loaded(mlp, state)
        return mlp, self.optimizer().init(mlp) | {"step": state["step"]}


class KeepsTheOldRate(Lockstep):
    """A changed learning rate does not arrive."""

    def changed_rate(self, old, new):  # noqa: ARG002
        return old


class DropsTheBatchSize(Lockstep):
    """A gradient of the bias that is the mean over the examples where it should be their sum."""

    def torch_gradients(self, problem):
        found = super().torch_gradients(problem)
        layers = tuple(
            ref.LayerGradients(g.weight, None if g.bias is None else g.bias / len(self.x)) for g in found.layers
        )
        return ref.Gradients(layers, found.input, found.loss)


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        (ForgetsTheStep, "assert 0 =="),
        (ForgetsTheSlots, "apart by"),
        (KeepsTheOldRate, "apart by"),
        (DropsTheBatchSize, r"layers\[\d\].bias"),
    ],
)
def test_the_machine_finds_a_planted_fault(machine, message):
    quick = settings(
        max_examples=60, stateful_step_count=20, phases=[Phase.generate], report_multiple_bugs=False, **QUIET
    )
    with pytest.raises(AssertionError, match=message):
        run_state_machine_as_test(machine, settings=quick)
