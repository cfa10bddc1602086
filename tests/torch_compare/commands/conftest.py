"""A folder of cases, and one of right results."""

import pytest

import reference as ref
from tests.torch_compare.commands.helpers import at_a_kink, computed_in, two_layers, undecided, write_case, write_result


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    for name, make in (("two_layers", two_layers), ("at_a_kink", at_a_kink), ("undecided", undecided)):
        write_case(folder, make(), name)
    return folder


@pytest.fixture
def results(cases, tmp_path):
    """A right result for every case of which there is one."""
    folder = tmp_path / "results"
    folder.mkdir()
    write_result(folder / "two_layers.json", computed_in("float64", two_layers()))
    write_result(folder / "at_a_kink.json", ref.gradients(at_a_kink()).leaves())
    write_result(folder / "undecided.json", {"loss": 1.0})
    return folder
