"""The zoo: its tables, what becomes of a planted wrong gradient, and an architecture small enough for the gate."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from benchmarks.zoo import architecture, torch_modules, zoo
from benchmarks.zoo.audio import AUDIO
from benchmarks.zoo.language import LANGUAGE
from benchmarks.zoo.vision import VISION
from torch_compare.torch_side import module_problem

ARCHITECTURES = {row.name: row for row in (*LANGUAGE, *VISION, *AUDIO)}


def agreed(**changes):
    row = {"family": "language", "name": "one", "steps": 3, "parameters": 9, "certified": "yes", "seconds": 1.0}
    for name in zoo.FORMATS:
        row |= {name: "agrees", f"{name} [σ]": 1.0}
    return row | changes


def holds(monkeypatch, *rows):
    found = {row["name"]: row for row in rows}
    subjects = [zoo.Subject(name, row["family"], lambda seed: None) for name, row in found.items()]
    monkeypatch.setattr(zoo, "subjects", lambda: subjects)
    monkeypatch.setattr(zoo, "measured", lambda subject, seed: found[subject.name])
    return zoo.measure(False, 0).holds


def test_there_are_forty_architectures_with_names_of_their_own():
    assert len(ARCHITECTURES) == len(LANGUAGE) + len(VISION) + len(AUDIO) >= 40
    assert not ARCHITECTURES.keys() & torch_modules.MODULES.keys()
    assert set(zoo.QUICK) <= ARCHITECTURES.keys() | torch_modules.MODULES.keys()
    assert set(zoo.SLOW) <= ARCHITECTURES.keys()
    assert all(word in architecture.INPUTS for row in ARCHITECTURES.values() for word in row.inputs.values())


@pytest.mark.parametrize(
    ("contradiction", "stands"),
    [
        ({}, True),
        ({"bfloat16": "wrong"}, False),
        ({"bfloat16": "wrong", "bfloat16, deviation": "one that is published"}, True),
        ({"float32": "not stated"}, False),
        ({"float32": zoo.DEAD}, False),
        ({"bfloat16": zoo.REFUSED}, True),
        ({"float32": zoo.REFUSED}, False),
        ({"certified": "no"}, False),
        ({"family": zoo.MODULE, "certified": "no"}, True),
        ({"seconds": 11.0}, False),
    ],
)
def test_the_claim_follows_from_the_rows(monkeypatch, contradiction, stands):
    assert holds(monkeypatch, agreed(name="other"), agreed(**contradiction)) == stands


class Refusing(torch.nn.Linear):
    """As a kernel that torch has in float32 and float64 alone."""

    def forward(self, x):
        if x.dtype == torch.bfloat16:
            raise NotImplementedError("'Refusing' is not implemented for 'BFloat16'")
        return super().forward(x)


def test_what_torch_refuses_to_compute_is_said_so():
    torch.manual_seed(0)
    row = zoo.measured(zoo.Subject("one", zoo.MODULE, lambda seed: (Refusing(2, 2), (torch.randn(3, 2),))), 0)
    assert (row["bfloat16"], row["float32"], row["certified"]) == (zoo.REFUSED, "agrees", "yes")
    assert "not implemented" in row["bfloat16, why"]
    assert zoo.unexplained([row]) == []


def test_a_name_that_is_in_no_table_is_refused():
    with pytest.raises(ValueError, match="the zoo has no 'Lama'"):
        zoo.measure(True, 0, ["Lama"])


def test_a_wrong_gradient_of_one_element_is_not_agreed_to():
    module, inputs = torch_modules.made("Bilinear", 0)
    found = module_problem.judgement(module, inputs, torch.ones(2, 5), torch.nn.MSELoss())
    given = dict(found.given)
    given["weight"] = given["weight"].clone()
    given["weight"][1, 2, 0] *= 1.001
    assert zoo.verdict_on("float32", found)["float32"] == "agrees"
    row = zoo.verdict_on("float32", replace(found, given=given))
    assert row["float32"] == "wrong"
    assert row["float32, deviation"] == ""


def test_gradients_that_are_all_zero_show_nothing():
    module, inputs = torch_modules.made("Bilinear", 0)
    found = module_problem.judgement(module, inputs, torch.ones(2, 5), torch.nn.MSELoss())
    dead = {place: d if place == "loss" else torch.zeros_like(d) for place, d in found.given.items()}
    assert zoo.verdict_on("float32", replace(found, given=dead))["float32"] == zoo.DEAD


def test_a_module_that_cannot_be_stated_is_a_row_that_says_why():
    subject = zoo.Subject("dropped", zoo.MODULE, lambda seed: (torch.nn.Dropout(), (torch.ones(2, 3),)))
    row = zoo.measured(subject, 0)
    assert row["float64"] == row["float32"] == row["bfloat16"] == "not stated"
    assert "call module.eval() first" in row["why"]


def test_a_small_one_agrees_and_is_certified(monkeypatch):
    pytest.importorskip("transformers")
    monkeypatch.setattr(zoo, "FORMATS", {"float32": torch.float32})
    llama = ARCHITECTURES["Llama"]
    small = replace(llama, settings={**llama.settings, "num_hidden_layers": 1})
    row = zoo.measured(zoo.Subject("Llama", "language", partial(architecture.made, small), classes=True), 0)
    assert (row["float32"], row["certified"]) == ("agrees", "yes")
