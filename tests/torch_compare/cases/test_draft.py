"""Drafts of cases."""

import pytest

from torch_compare.cases.draft import Draft, certify, draft


def test_flags_are_known_and_seen():
    made = draft("a", [([[1.0]], None, "relu")], [[0.0]], [[1.0]], note="n")
    assert certify(made).flags == ("batch_1", "kink", "no_bias")
    with pytest.raises(ValueError, match="a: no flag is named 'shiny'"):
        certify(Draft("a", made.problem, ("shiny",), "n"))
