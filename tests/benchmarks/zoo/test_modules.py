"""The survey of random modules: no accusation of a correct gradient, and one that is made refutes the claim."""

from benchmarks.zoo import modules


def test_a_few_agree_and_one_accusation_refutes_the_claim(monkeypatch, tmp_path):
    monkeypatch.setattr(modules, "JOBS", 1)
    report = modules.measure(True, 5, 3)
    assert report.holds
    assert sum(row["agrees"] for row in report.rows) == 3
    modules.draw(report, tmp_path / "modules.png")
    monkeypatch.setattr(modules, "status_of", lambda spec, how: "imprecise")
    assert not modules.measure(True, 5, 3).holds


def test_each_specification_is_a_function_of_the_seed_and_its_number():
    assert modules.drawn(4, 9) == modules.drawn(8, 9)[:4]
    assert modules.drawn(4, 9) != modules.drawn(4, 10)


def test_some_are_compiled_besides_where_there_is_a_compiler(monkeypatch):
    monkeypatch.setattr(modules, "JOBS", 1)
    monkeypatch.setattr(modules, "status_of", lambda spec, how: "wrong" if how == "compiled" else "agrees")
    for there in (True, False):
        monkeypatch.setattr(modules, "HAS_COMPILER", there)
        report = modules.measure(True, 5, 3, compiled=2)
        assert report.figures["compiled besides"] == 2 * there
        assert report.holds is not there
