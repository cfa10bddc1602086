"""The script on lost information at its smallest: what it counts as lost is lost, and what refutes it."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from benchmarks.claims import information_loss
from tests.benchmarks.helpers import PNG, run_script

SMALLEST = {"dimensions": (2, 5), "embeddings": 40, "bottlenecks": (2,), "networks": 3, "steps": 200}


def measured():
    return information_loss.measure(quick=True, seed=0, **SMALLEST)


def test_the_script_shows_its_claim_and_writes_its_table_and_its_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(information_loss, "measure", partial(information_loss.measure, **SMALLEST))
    ran = run_script(monkeypatch, tmp_path, "information_loss", "--quick")
    assert ran.report.holds
    assert ran.status == 0
    assert ran.document["claim"] == ran.report.claim
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.picture.startswith(PNG)
    assert [word in information_loss.__doc__ for word in ("Claim:", "Measured:", "Refuted by:")] == [True] * 3


def test_the_spiral_is_spread_evenly_around_its_centre():
    x = information_loss.spiral()
    assert np.max(np.hypot(*x.T)) <= 1 + 2**-52
    assert np.all(np.any(x != 0, axis=1))
    ahead = np.array([[1.0, 0.25], [0.25, -1.0]])  # two right angles, none of whose sides meets a point
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        assert np.sum(np.all(x @ ahead.T * signs > 0, axis=1)) == information_loss.POINTS / 4


@given(seed=st.integers(0, 2**32 - 1), dimensions=st.integers(2, 6))
def test_a_point_is_lost_where_others_have_the_same_image(seed, dimensions):
    """In integers: a lost point may move along the side of its active unit; a kept one is the only solution."""
    rng = np.random.default_rng(seed)
    weight, point = rng.integers(-9, 10, (dimensions, 2)), rng.integers(-9, 10, 2) * 1000
    z = weight @ point
    if np.any(z == 0) or np.any(np.all(weight == 0, axis=1)):
        return
    active = weight[z > 0]
    gone = information_loss.lost(np.maximum(z, 0)[None]) == 1
    if len(active) < 2:
        side = np.array([-active[0, 1], active[0, 0]]) if len(active) else np.array([1, 0])
        assert gone
        assert np.array_equal(np.maximum(weight @ (point + side), 0), np.maximum(z, 0))
    else:
        assert not gone
        if any(a[0] * b[1] != a[1] * b[0] for a in active for b in active):
            assert np.linalg.matrix_rank(active) == 2


def test_scaling_finds_the_nearest_multiple():
    x = information_loss.spiral()
    assert information_loss.relative_error(information_loss.scaled(x / 4, x), x) == 0
    assert information_loss.relative_error(information_loss.scaled(0 * x, x), x) == 1


def test_the_spirals_rows():
    found = [information_loss.embedding_row(n, 60, seed=0) for n in (2, 3, 5, 9)]
    assert [row["expected"] for row in found] == [0.75, 0.5, 6 / 32, 10 / 512]
    assert all(row["linear"] < 1e-9 < row["smallest"] for row in found)


@pytest.fixture
def no_training(monkeypatch):
    """Losses as the claim wants them, which differ by seed."""
    losses = {information_loss.RULE: 0.5, information_loss.EVERYWHERE: 1.0, information_loss.NOWHERE: 0.8}
    monkeypatch.setattr(
        information_loss, "trained", lambda widths, name, seed, steps: (losses[name] + seed % 3 / 100, 0.9)
    )
    return losses


def test_a_rule_that_gains_nothing_refutes(no_training):
    assert measured().holds
    for other in (information_loss.EVERYWHERE, information_loss.NOWHERE):
        kept, no_training[other] = no_training[other], 0.5
        assert not measured().holds
        no_training[other] = kept


def test_a_gain_within_its_error_refutes(no_training, monkeypatch):
    noisy = np.random.default_rng(0)
    honest = information_loss.trained
    monkeypatch.setattr(information_loss, "trained", lambda *given: (honest(*given)[0] + 3 * noisy.normal(), 0.9))
    assert not measured().holds


@pytest.mark.parametrize("spoil", [lambda share: share * 0, lambda share: min(1.0, share + 0.3)])
def test_another_share_of_lost_points_refutes(spoil, no_training, monkeypatch):
    honest = information_loss.lost
    monkeypatch.setattr(information_loss, "lost", lambda h: spoil(honest(h)))
    assert not measured().holds


def test_an_error_that_does_not_fall_refutes(no_training, monkeypatch):
    monkeypatch.setattr(information_loss, "scaled", lambda back, x: 0 * x)
    assert not measured().holds


def test_losing_without_relu_refutes(no_training, monkeypatch):
    honest = information_loss.through
    monkeypatch.setattr(information_loss, "through", lambda x, n, name, seed: honest(x, n, "relu", seed))
    assert not measured().holds


def test_the_rule_is_trained_from_the_same_weights_as_the_others():
    widths = [64, 8, 2, 8, 10]
    rows = {name: assign(widths) for name, assign in information_loss.ASSIGNMENTS.items()}
    named = {name: [ref.activations.get(row).name for row in given] for name, given in rows.items()}
    assert named == {
        information_loss.RULE: ["identity", "identity", "relu6", "identity"],
        information_loss.EVERYWHERE: ["relu6", "relu6", "relu6", "identity"],
        information_loss.NOWHERE: ["identity"] * 4,
    }
    assert SMALLEST["bottlenecks"] == (2,)
