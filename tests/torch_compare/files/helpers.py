"""A small committed case, and the refusal of what it is turned into."""

import json

import pytest

from torch_compare.files.case_file import read_case

SMALL = "kink_relu"


def refused(tmp_path, content, message, name="case.json"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(ValueError, match=message) as caught:
        read_case(path)
    assert str(path) in str(caught.value)
