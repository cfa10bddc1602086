"""The survey of random modules: no accusation of a correct gradient, and one that is made refutes the claim."""

from benchmarks.zoo import modules


def test_a_few_agree_and_one_accusation_refutes_the_claim(monkeypatch, tmp_path):
    monkeypatch.setattr(modules, "JOBS", 1)
    report = modules.measure(True, 5, 3)
    assert report.holds
    assert sum(row["agrees"] for row in report.rows) == 3
    modules.draw(report, tmp_path / "modules.png")
    monkeypatch.setattr(modules, "status_of", lambda spec: "imprecise")
    assert not modules.measure(True, 5, 3).holds


def test_each_specification_is_a_function_of_the_seed_and_its_number():
    assert modules.drawn(4, 9) == modules.drawn(8, 9)[:4]
    assert modules.drawn(4, 9) != modules.drawn(4, 10)
