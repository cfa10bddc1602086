"""One way of going wrong, and what looking for it may cost."""

from torch_compare.diagnosis.candidate import Effort, Way
from torch_compare.mistakes.mistake import Mistake


def test_a_way_holds_each_mistake_once_at_each_place():
    here, there = (Mistake("sign", f"layers[{l}]", "the sign is wrong") for l in (0, 1))
    way = Way((here,), d_h=None)
    assert way.with_(here) == (here,)
    assert way.with_(there, here) == (here, there)
    other = Mistake("sign", "layers[0]", "the sign is wrong twice")
    assert way.with_(other) == (here, other)
    assert way.mistakes == (here,)


def test_an_effort_is_exhausted_when_its_limit_is_reached():
    effort = Effort(2.0)
    assert not effort.exhausted
    effort.spent = 1.0
    assert not effort.exhausted
    effort.spent = 2.0
    assert effort.exhausted
