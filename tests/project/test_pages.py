"""The pages in a browser: nothing is fetched, nothing runs, and a narrow screen need not scroll sideways."""

from dataclasses import replace

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from tests.helpers.browser import CHROMIUM
from tests.helpers.pages import HOSTILE, shown
from torch_compare.commands import explain, explained, verify_page
from torch_compare.commands.small_network import example
from torch_compare.diagnosis.wording import Diagnosis, Implied
from torch_compare.sources import campaign, plant
from torch_compare.verdict import page
from torch_compare.verdict.error_map import error_map

pytestmark = [
    pytest.mark.explore,  # a browser takes seconds to start
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine: pages cannot be shown in it"),
]


def verdict_page():
    """A verdict that shows all that a page has, under a hostile name."""
    sgd, w = ref.optimizers.sgd(lr=0.5), np.arange(1.0, 9.0)
    verdict = tc.check_step(sgd, [w], [w], None, [w * 0.25], diagnose=False)
    said = Diagnosis(HOSTILE, implied=Implied(HOSTILE, "tanh", HOSTILE, ((-1.0, 0.5, 0.42),)))
    place = replace(verdict.worst, leaf=HOSTILE)
    large = error_map(np.linspace(0, 99, 64 * 7 * 49).reshape(64, 7, 49))
    hostile = replace(
        verdict, diagnosis=said, places={HOSTILE: place}, maps={HOSTILE: large}, digits={HOSTILE: 1.0},
        reproduce=HOSTILE + "x" * 200,
    )  # fmt: skip
    return page.page(HOSTILE, [page.section(hostile, HOSTILE, ("check", HOSTILE))], about=HOSTILE)


def campaign_page(tmp_path):
    report = campaign.run(3, seed=2, jobs=1)
    planted = {name: verdict for (name, verdict), _ in zip(plant.verdicts(), range(2), strict=False)}
    return verify_page.as_html(report, planted, f"gradient-oracle {HOSTILE}", [])


PAGES = {
    "check": lambda folder: verdict_page(),
    "verify": campaign_page,
    "explain": lambda folder: explain.as_html(explained.parts(example("gelu_tanh", widths=(2, 4, 2)))),
}


@pytest.mark.parametrize("width", [320, 1000])
@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_a_page_stands_alone_on_any_screen(make, width, tmp_path):
    found = shown(make(tmp_path), width, tmp_path)
    assert found["text"] > 500
    assert found["wide"] <= width
    assert [found[name] for name in ("ran", "bare", "scripts", "fetched", "errors")] == [0, 0, 0, 0, []]


def test_each_fault_would_be_seen(tmp_path):
    """A page that does everything wrong."""
    fetching = "<img src='http://127.0.0.1:9/picture'>"
    running = "<script>console.error('no')</script>"
    found = shown(f"<body><p style='width:900px'>{HOSTILE}</p><svg role=img></svg>{fetching}{running}", 320, tmp_path)
    assert found["ran"] == found["bare"] == 1
    assert found["wide"] >= 900
    assert min(found["scripts"], found["fetched"], len(found["errors"])) >= 1
