"""Problems as files, bit for bit."""

import json

import numpy as np

import reference as ref
from torch_compare.files import problem_file
from torch_compare.random_problems.spec import build


def test_files_hold_every_problem_exactly(tmp_path):
    from torch_compare.random_problems.spec import random_spec

    for case in range(80):
        spec = random_spec(np.random.default_rng([8, case]), case // 2, ("float64", "float32")[case % 2])
        problem = build(spec)
        text = json.dumps(problem_file.encode(problem), allow_nan=False)
        again = problem_file.decode(json.loads(text))
        assert again.dtype == problem.dtype
        for place, leaf in ref.gradients(problem).leaves().items():
            np.testing.assert_array_equal(ref.gradients(again).leaves()[place], leaf)
