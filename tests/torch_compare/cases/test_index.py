"""The index of the cases."""

from torch_compare.cases import vectors
from torch_compare.cases.draft import FLAGS
from torch_compare.cases.index import index


def test_the_index_names_every_case_and_explains_every_flag(cases):
    text = (vectors.COMMITTED / vectors.INDEX).read_text("utf-8")
    for case in cases:
        assert text.count(f"| [{case.name}]({case.name}.json) |") == 1
        assert case.link in text
    for flag, meaning in FLAGS.items():
        assert (f"| `{flag}` | {meaning} |" in text) == (flag != "random")
    assert index(cases[:1]).count("\n| [") == 1
