"""The chapter's last table: both measures are what they say, exactly 0 for the identity, and the verdict can fall."""

import numpy as np
import pytest

import reference as ref
from benchmarks.claims import activations_compared as bench
from tests.benchmarks.helpers import PNG, run_script

SMALL = {"names": ("identity", "relu", "tanh", "gelu", "softmax", "glu", "hardshrink"), "depths": (1, 3), "networks": 2}


@pytest.fixture(scope="module")
def small():
    return bench.measure(quick=True, seed=0, **SMALL)


# ── complexity ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_a_circle_turns_twice_by_half_a_turn(scale):
    """All but the corner at which the polygon closes, whatever its size."""
    angle = np.arange(361) * np.pi / 180
    turns = bench.turning(scale * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    # 359 steps of 1/57 and their angles, from coordinates that are right to u: 57² times as much relative to an angle.
    assert abs(turns - 2 * 359 / 360) <= 359 * 57**2 * 2.0**-52


def test_points_that_stay_where_they_are_do_not_turn():
    assert bench.turning(np.array([[0.0, 0], [1, 0], [1, 0], [1, 0], [2, 0]])) == 0
    assert bench.turning(np.ones((5, 3))) == 0


def test_a_step_back_is_half_a_turn():
    assert bench.turning(np.array([[0.0], [1.0], [0.5]])) == 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("depth", [1, 8])
def test_a_linear_network_does_not_turn_at_all(seed, depth):
    assert bench.complexity("identity", depth, seed) == {"turns": 0, "pieces": 1}


def test_a_linear_network_with_weights_that_round_would_seem_to_turn():
    """The 0 above is no accident of a coarse measure."""
    mlp, start, direction = bench.bending_network("identity", 8, np.random.default_rng(0))
    rounding = ref.MLP(tuple(ref.Layer(p.weight / 3, p.bias, p.activation) for p in mlp.layers))
    t = bench.line(np.random.default_rng(0))[2]
    assert bench.turning(ref.forward(rounding, start + t[:, None] * direction).output) > 0


@pytest.mark.parametrize("name", sorted(ref.ACTIVATIONS))
def test_every_layer_meets_the_line_where_its_activation_bends(name):
    mlp, start, direction = bench.bending_network(name, 3, np.random.default_rng(1))
    t = bench.line(np.random.default_rng(1))[2]
    trace = ref.forward(mlp, start + t[:, None] * direction)
    for z in trace.preactivations:
        assert np.all(np.abs(z.mean(axis=0)) <= 1 / 8)
        size = np.sqrt(np.mean((z - z.mean(axis=0)) ** 2))
        assert bench.SPREAD / 1.42 <= size <= bench.SPREAD * 1.42 or size == 0


# ── information ──────────────────────────────────────────────────────────────────────────────────────


def reference_loss(name, read):
    """H(Z|Y)/H(Z) pair by pair, from its definition."""
    values = bench.grid().tolist()
    z = np.array([[a, b] for a in values for b in values])
    readings = [tuple(r) for r in read(ref.ACTIVATIONS[name].value(z)).tolist()]
    places = [(i // bench.EACH, j // bench.EACH) for i in range(len(values)) for j in range(len(values))]
    of_reading, of_both = {}, {}
    for reading, place in zip(readings, places, strict=True):
        of_reading[reading] = of_reading.get(reading, 0) + 1
        of_both[reading, place] = of_both.get((reading, place), 0) + 1
    bits = sum(n * np.log2(of_reading[reading] / n) for (reading, _), n in of_both.items())
    return bits / len(z) / (2 * np.log2(bench.MARKS))


@pytest.mark.parametrize("read", [bench.ranked, bench.on_a_scale])
@pytest.mark.parametrize("name", ["relu", "softmax", "glu"])
def test_the_loss_is_the_conditional_entropy(name, read):
    assert bench.lost(name, read) == pytest.approx(reference_loss(name, read), rel=1e-12)  # sums of 65,536 terms


def test_the_losses_that_one_can_count():
    assert bench.lost("identity", bench.ranked) == bench.lost("identity", bench.on_a_scale) == 0
    # Half of relu's places fall together: half of z lose log₂ 16 of 5 bits.
    assert bench.lost("relu", bench.ranked) == 0.5 * 4 / 5
    # hardtanh tells the middle eighth; z beyond ±1 lie in 14 places on each side.
    assert bench.lost("hardtanh", bench.ranked) == pytest.approx(7 / 8 * np.log2(14) / 5, rel=1e-12)


@pytest.mark.parametrize("name", sorted(ref.ACTIVATIONS))
def test_what_rises_everywhere_loses_nothing_by_rank_and_nothing_else_does(name):
    assert (bench.lost(name, bench.ranked) == 0) == bench.rises(name)


def test_the_spiral_comes_back_where_a_plane_does():
    """Behind the identity, and hardsigmoid, straight where the spiral lies, to half of the digits at least."""
    behind_relu = bench.spiral_error("relu", 5, 0)
    assert 0.1 < behind_relu < 1
    assert max(bench.spiral_error(name, 5, 0) for name in ("identity", "hardsigmoid")) < 2.0**-26 * behind_relu


# ── the verdict ──────────────────────────────────────────────────────────────────────────────────────


def test_the_report_shows_the_claim(small):
    assert small.holds
    assert [row["activation"] for row in small.rows] == list(SMALL["names"])
    assert small.figures["non-linear activations"] == 6


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("identity", {"turns_last": 1e-12}),
        ("identity", {"scale": 1e-12}),
        ("identity", {"ranked": 1e-12}),
        ("relu", {"least": 0.0}),
        ("gelu", {"scale": 0.0}),
        ("tanh", {"ranked": 1e-12}),
        (None, {"turns_last": 0.0}),
    ],
)
def test_a_contradiction_refutes_the_claim(small, name, change):
    rows = [row | change if name in (None, row["activation"]) else row for row in small.rows]
    assert bench.holds(small.rows)
    assert not bench.holds(rows)


def test_a_linear_row_that_is_not_linear_refutes_the_claim(monkeypatch):
    rows = {**ref.ACTIVATIONS, "identity": ref.ACTIVATIONS["leaky_relu"]}
    monkeypatch.setattr(ref, "ACTIVATIONS", rows)
    assert not bench.measure(quick=True, seed=0, names=("identity", "tanh"), depths=(1, 2), networks=1).holds


def test_the_script_writes_its_table_and_its_picture(small, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(bench, "measure", lambda *given: asked.append(given) or small)
    ran = run_script(monkeypatch, tmp_path, "activations_compared", "--quick", "--seed", "3", width=140)
    assert asked == [(True, 3)]
    assert len(ran.document["rows"]) == len(SMALL["names"])
    assert ran.picture.startswith(PNG)
    assert "The claim holds." in ran.printed
