"""Work that is timed beside other work."""

import os
from functools import partial

from benchmarks.harness import timing


def test_the_pieces_of_work_take_turns():
    turns = []
    pieces = {name: partial(turns.append, name) for name in "ab"}
    taken = timing.interleaved_times(pieces, repetitions=3, least=0.0)
    assert turns == ["a", "b"] * 4  # one warm-up turn
    assert [len(times) for times in taken.values()] == [3, 3]
    assert all(seconds >= 0 for times in taken.values() for seconds in times)


def test_one_core_is_given_back():
    before = os.sched_getaffinity(0)
    with timing.on_one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
