"""The networks whose check is timed."""

from benchmarks.detection import speed


def test_the_networks_whose_time_is_taken_are_those_of_the_claim():
    sizes = [speed.network(w, 1, 0).mlp.parameters for w in (speed.SMALL, speed.LARGE)]
    assert sizes == [8970, 784 * 1024 + 1024 + 1024 * 256 + 256 + 256 * 10 + 10]
    problem = speed.network((3, 4, 2), 2, 0)
    assert speed.gradcheck(problem, fast=True)()
    assert speed.gradcheck(problem, fast=False)()
