"""Files that ask for much memory."""

from tests.fuzz.bombs import BOMBS, TENSOR_BOMBS, make_bomb
from torch_compare.files import untrusted


def test_bombs_are_as_large_as_they_may_be():
    for name in BOMBS + TENSOR_BOMBS:
        assert len(make_bomb(name)) <= untrusted.LARGEST_FILE + 1
