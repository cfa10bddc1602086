"""Every known bug has its case, or a reason why not."""

import reference as ref
from tests.torch_compare.cases.helpers import of_layers
from torch_compare.cases import known_bugs, vectors


def test_every_known_bug_is_shown_or_said_not_to_be(cases):
    numbers = {int(case.name.split("_")[1]) for case in cases if case.name.startswith("bug_")}
    assert numbers == {1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 22, 27}
    for case in cases:
        assert (
            case.link.startswith("https://github.com/") == ("known_bug" in case.flags) == case.name.startswith("bug_")
        )
    text = (vectors.COMMITTED / vectors.INDEX).read_text("utf-8")
    for entry in ("195679", "5876", "79609", "numpy-ml", "1769", "3541", "59615", "3130"):
        assert any(entry in where for where in known_bugs.NOT_SHOWN)
        assert entry in text


def test_the_known_numbers_of_the_bugs(cases):
    by_name = {case.name: case for case in cases}
    weight = {case.name: case.certified.layers[0].weight.nearest for case in of_layers(cases)}

    def slopes(name):
        """a′(z): the gradient of the weight by that of the output, for x = 1."""
        case = by_name[name]
        output = ref.forward(case.problem.mlp, case.problem.x).output
        return weight[name][:, 0] / ref.loss_gradient(case.problem, output)[0]

    assert f"{slopes('bug_01_sigmoid')[0]:.2e}" == "4.25e-18"
    assert f"{slopes('bug_01_tanh')[0]:.2e}" == "1.70e-17"
    assert f"{slopes('bug_22_sigmoid')[0]:.1e}" == "1.4e-11"
    first, second = weight["bug_02_bce_with_logits"][:, 0]
    assert first == -second != 0
    assert weight["bug_03_cross_entropy"].sum() == 0 != weight["bug_03_cross_entropy"][0, 0]
    assert weight["bug_10_l1"][0, 0] == 0
    assert f"{weight['bug_13_bce'][0, 0]:.3f}" == "-1.000"
