"""The page of a verdict: its structure, what it says, colours that read in grey, and hostile names escaped."""

import re
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from tests.helpers import Reader
from tests.helpers.pages import HOSTILE
from torch_compare.diagnosis.wording import Diagnosis, Implied
from torch_compare.verdict import page
from torch_compare.verdict.error_map import COLUMNS, ROWS, error_map


@pytest.fixture(scope="module")
def wrong():
    """A verdict on a weight whose one element is wrong, beside a bias that is right."""
    mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=0)
    rng = np.random.default_rng(0)
    problem = ref.Problem(mlp, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "mse")
    found = ref.gradients(problem)
    weight = found.layers[0].weight.copy()
    weight[2, 1] *= 1.001
    return tc.check(problem, {"layers[0].weight": weight, "layers[0].bias": found.layers[0].bias}, diagnose=False)


def test_the_map_of_a_leaf_shows_where_it_is_wrong(wrong):
    weight, bias = (np.array(wrong.maps[f"layers[0].{kind}"].cells) for kind in ("weight", "bias"))
    assert (weight.shape, bias.shape) == ((4, 3), (1, 4))
    assert np.argwhere(weight > 32).tolist() == [[2, 1]]
    assert weight[2, 1] == wrong.worst.scales
    assert np.all(bias <= 32)


def test_a_large_leaf_keeps_the_worst_of_each_cell():
    scales = np.zeros((1000, 7, 1000))
    scales[999, 6, 999], scales[0, 0, 0] = 50.0, np.nan
    found = error_map(scales)
    cells = np.array(found.cells)
    assert cells.shape == (ROWS, COLUMNS)
    assert (found.shape, found.beyond) == ((1000, 7, 1000), 1)
    assert np.argwhere(cells == 50).tolist() == [[ROWS - 1, COLUMNS - 1]]
    assert not np.isnan(cells).any()
    assert error_map(np.zeros((3, 0))).cells == ()
    assert error_map(np.float64(2.0)).cells == ((2.0,),)


def test_a_batch_of_one_sequence_is_no_single_row():
    scales = np.zeros((1, 40, 8))
    scales[0, 39, 7] = 50.0
    cells = np.array(error_map(scales).cells)
    assert cells.shape == (ROWS, 8)
    assert np.argwhere(cells == 50).tolist() == [[ROWS - 1, 7]]


def test_the_page_says_what_the_verdict_says(wrong):
    text = page.page("a title", [page.section(wrong, "a case", ("gradient-oracle", "check", "a b", "c"))])
    read, whole = Reader(text), " ".join(Reader(text).texts)
    for said in ("a case: wrong", wrong.reproduce, "gradient-oracle check 'a b' c", "no rounding of a correct formula"):
        assert said in " ".join(whole.split())
    maps = [svg["aria-label"] for svg in read.of("svg")]
    assert maps == [
        "layers[0].weight: 1 of 12 elements beyond 32 rounding scales",
        "layers[0].bias: 0 of 4 elements beyond 32 rounding scales",
    ]
    bars = [span for span in read.of("span") if span.get("class") == "bar"]
    assert [bar["aria-label"] for bar in bars] == [f"{share:.3g} of the limit" for share in wrong.statistics.values()]
    assert "32 σ" in read.texts
    assert "8 σ" in read.texts


def test_an_implied_derivative_stands_in_a_table(wrong):
    implied = Implied("layers[0]", "tanh", "input", ((-1.0, 0.5, 0.25), (0.0, 0.75, 1.0)))
    said = Diagnosis(f"no known mistake; {implied}", implied=implied)
    read = Reader(page.page("t", [page.section(replace(wrong, diagnosis=said))]))
    at = next(i for i, text in enumerate(read.texts) if text.startswith("tanh′(z) as input implies it"))
    cells = [text for text in read.texts[at:] if text.strip()]
    assert cells[1:10] == ["z", "implied", "tanh′(z), the right one", "-1", "0.5", "0.25", "0", "0.75", "1"]
    assert not [text for text in Reader(page.page("t", [page.section(wrong)])).texts if " implies it" in text]


def test_the_page_stands_alone(wrong):
    """Nothing is fetched and nothing runs: no script, no address, and a policy that forbids both."""
    text = page.page("a title", [page.section(wrong)])
    read = Reader(text)
    assert not {"script", "img", "link", "iframe", "a"} & {tag for tag, _ in read.tags}
    assert not [name for _, attributes in read.tags for name in attributes if name.startswith("on") or name == "src"]
    assert "://" not in text
    assert "url(" not in text
    policies = [m["content"] for m in read.of("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def hostile_page(verdict, name):
    """A page with a name in every place that takes one."""
    grid = page.Grid(name, (name,) * 3, [(name,) * 3])
    return page.page(name, [page.section(verdict, name, (name,))], [grid, grid._replace(code=True)], name, name)


def test_hostile_names_are_text(wrong):
    place = replace(wrong.worst, leaf=HOSTILE)
    hostile = replace(
        wrong, worst=place, places={HOSTILE: place}, digits={HOSTILE: 1.0}, maps={HOSTILE: error_map([50.0])},
        reproduce=HOSTILE, statistics={HOSTILE: 2.0}, decided=HOSTILE,
        diagnosis=Diagnosis(HOSTILE, implied=Implied(HOSTILE, HOSTILE, HOSTILE, ((1.0, 2.0, 3.0),))),
    )  # fmt: skip
    text = hostile_page(hostile, HOSTILE)
    plain = hostile_page(wrong, "t")
    read = Reader(text)
    assert {tag for tag, _ in read.tags} == {tag for tag, _ in Reader(plain).tags}
    assert not [name for _, attributes in read.tags for name in attributes if name.startswith("on")]
    assert read.of("svg")[0]["aria-label"].startswith(HOSTILE)
    assert read.texts.count(HOSTILE) >= 3
    assert "49" not in "".join(read.texts)


def test_the_colours_grow_darker_with_the_error():
    def luminance(colour):
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    shades = [luminance(colour) for _, _, colour in (page.UNDECIDED, *page.LEVELS)]
    assert shades == sorted(shades, reverse=True)
    assert all(a - b > 35 for a, b in pairwise(shades))


def test_a_notebook_shows_the_same_or_the_text(wrong, monkeypatch):
    shown = wrong._repr_html_()
    assert "<html" not in shown
    assert Reader(shown).of("svg")
    page._template.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert wrong._repr_html_() is None
    with pytest.raises(ModuleNotFoundError, match=re.escape("gradient-oracle[html]")):
        page.page("")
    monkeypatch.undo()
    page._template.cache_clear()


def test_a_step_has_a_page_too():
    sgd, w = ref.optimizers.sgd(lr=0.5), np.array([1.0, 2.0])
    verdict = tc.check_step(sgd, [w], [w], None, [w * 0.25])
    assert "wrong" in verdict._repr_html_()
