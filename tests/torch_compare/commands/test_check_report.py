"""The report of the check: every gradient, every case, in words and as JSON."""

import json
from xml.etree import ElementTree

import pytest

from tests.torch_compare.commands.helpers import as_case, at_a_kink, computed_in, run, two_layers, write_result


def test_every_gradient_is_reported_with_its_worst_element(cases, tmp_path, capsys):
    leaves = computed_in("float64", two_layers())
    leaves["layers[0].weight"][4, 1] *= 1 + 1e-6
    report = tmp_path / "report.json"
    result = write_result(tmp_path / "r.json", leaves)
    assert run(cases / "two_layers.json", result, "--no-diagnose", "--json", report) == 1
    found = json.loads(report.read_text(encoding="utf-8"))["cases"][0]
    assert found["gradients"].keys() == leaves.keys()
    assert found["gradients"]["layers[0].weight"]["index"] == [4, 1]
    assert found["gradients"]["layers[0].weight"]["digits"] == pytest.approx(6, abs=0.01)
    assert all(leaf["scales"] < 32 for place, leaf in found["gradients"].items() if place != "layers[0].weight")
    assert (found["mistakes"], found["worst"]) == ([], "layers[0].weight")
    out = capsys.readouterr().out
    assert "layers[0].weight[4, 1]" in out
    assert all(place in out for place in leaves)


def test_numbers_that_json_has_not_are_words_in_the_report(cases, tmp_path):
    exact = as_case(at_a_kink()).certified
    result = write_result(tmp_path / "r.json", {"input": exact.input.nearest})
    report = tmp_path / "report.json"
    assert run(cases / "at_a_kink.json", result, "--json", report) == 0
    text = report.read_text(encoding="utf-8")
    assert json.loads(text)["cases"][0]["gradients"]["input"]["digits"] == "inf"
    assert "Infinity" not in text


def test_a_folder_is_judged_case_by_case(cases, results, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    report = tmp_path / "report.json"
    assert run(cases, results, "--json", report) == 0
    assert "AGREES: 3 agrees" in capsys.readouterr().out
    write_result(results / "two_layers.json", {k: 2 * v for k, v in computed_in("float64", two_layers()).items()})
    assert run(cases, results, "--json", report) == 1
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("two_layers"))
    assert "wrong" in row
    assert "factor 2" in row
    assert "DISAGREES: 2 agrees, 1 wrong" in out
    found = {one["case"]: one["status"] for one in json.loads(report.read_text(encoding="utf-8"))["cases"]}
    assert found == {"two_layers": "wrong", "at_a_kink": "agrees", "undecided": "agrees"}


def test_junit_has_a_test_for_every_case(cases, results, tmp_path):
    path, strange = tmp_path / "junit.xml", "\x1b[31m]]><b>"
    write_result(results / "two_layers.json", {"loss": 1e9})
    (results / "undecided.json").unlink()
    (results / "at_a_kink.json").write_text(json.dumps({strange: 1.0}), encoding="utf-8")
    assert run(cases, results, "--junit", path) == 1
    suite = ElementTree.parse(path).getroot()[0]
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3", "failures": "1", "errors": "2", "skipped": "0",
    }  # fmt: skip
    found = {case.get("name"): case for case in suite}
    (failure,) = found["two_layers"]
    assert (failure.tag, failure.get("type")) == ("failure", "wrong")
    assert failure.get("message").startswith("wrong: ")
    assert "diagnosis: " in failure.text
    assert "]]><b>" in found["at_a_kink"][0].get("message")
    assert found["undecided"][0].get("message") == "no result"
    assert run(cases, results, "--junit", path, "--partial", "--no-diagnose") == 1
    suite = ElementTree.parse(path).getroot()[0]
    assert (suite.get("errors"), suite.get("skipped")) == ("1", "1")
    write_result(results / "undecided.json", {"layers[1].bias": [-2.0]})
    assert run(cases / "undecided.json", results / "undecided.json", "--junit", path) == 3
    (error,) = ElementTree.parse(path).getroot()[0][0]
    assert (error.tag, error.get("type")) == ("error", "unresolved")
    assert run(cases, results, "--junit", "-") == 2


def test_the_page_of_one_case_and_of_a_folder(cases, results, tmp_path, capsys):
    path = tmp_path / "report.html"
    hostile = "<script>alert(1)</script>"
    folder = tmp_path / hostile.replace("/", "")
    results.rename(folder)
    write_result(folder / "two_layers.json", {"loss": 1e9})
    assert run(cases, folder, "--html", path) == 1
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text
    assert text.count("<section") == 1, "the wrong one alone"
    assert all(f'<th scope="row">{name}</th>' in text for name in ("at_a_kink", "two_layers", "undecided"))
    assert run(cases / "two_layers.json", folder / "two_layers.json", "--html", path) == 1
    text = path.read_text(encoding="utf-8")
    assert text.count("<section") == 1
    assert "gradient-oracle check" in text
    for refused, message in (("-", "--html: expected the path of a file"), (tmp_path, "--html: ")):
        capsys.readouterr()
        assert run(cases, folder, "--html", refused) == 2
        assert message in capsys.readouterr().err
