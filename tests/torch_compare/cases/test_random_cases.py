"""Random cases: the same from the same seed, small, varied and true."""

from itertools import islice

import numpy as np

import reference as ref
from torch_compare.cases import random_cases, vectors
from torch_compare.verdict.checks import check


def test_random_cases_are_the_same_from_the_same_seed(tmp_path, monkeypatch):
    few = list(islice(vectors.named_set(), 5))
    monkeypatch.setattr(vectors, "named_set", lambda: iter(few))
    made = [vectors.write(tmp_path / str(index), cases, seed=5) for index, cases in enumerate((6, 3))]
    assert made[1] == vectors.check_manifest(tmp_path / "1")
    listed = {name: entry for name, entry in made[1].files.items() if name.startswith("random")}
    assert listed == {name: made[0].files[name] for name in listed}
    assert len(listed) == 6
    assert made[0].files.items() & vectors.write(tmp_path / "other", 6, seed=6).files.items() == {
        (name, entry) for name, entry in made[0].files.items() if not name.startswith(("random", vectors.INDEX))
    }


def test_random_cases_are_small_varied_and_true():
    made = list(random_cases.random_cases(60, seed=11))
    assert {case.problem.dtype.name for case in made} == {"float64", "float32"}
    assert {case.problem.loss.name for case in made} == set(ref.LOSSES)
    assert len({layer.activation.name for case in made for layer in case.problem.mlp.layers}) > 25
    for case in made:
        assert max(case.problem.x.shape) <= 4
        assert {"random"} <= set(case.flags)
        verdict = check(case.problem, ref.gradients(case.problem), certified=case.certified, diagnose=False)
        assert verdict.status in ("agrees", "unresolved"), f"{case.name}: {verdict}"
    assert all(case.problem.dtype == np.float32 for case in random_cases.random_cases(3, 0, "float32"))
