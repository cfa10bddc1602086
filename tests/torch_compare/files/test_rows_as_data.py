"""Rows of the tables as data: what a stranger's row may not ask for."""

import numpy as np
import pytest

import reference as ref
from torch_compare.files.bit_arrays import encode
from torch_compare.files.rows_as_data import decode_activation, encode_row


def test_a_row_may_not_ask_for_time():
    """The kink of this softplus has 2^61 floats beside it whose product with beta rounds to the threshold, too."""
    row = {"name": "softplus", "parameters": {"beta": encode(np.array(1e-60)), "threshold": encode(np.array(0.0))}}
    (kink,) = decode_activation("row", row).kinks
    assert kink.at * 1e-60 == 0 < np.nextafter(kink.at, 1) * 1e-60
    for parameters in ({"beta": encode(np.array(1e-200))}, {"beta": 2**40}, {"beta": "1"}):
        with pytest.raises(ValueError, match="row"):
            decode_activation("row", {"name": "softplus", "parameters": parameters})


def test_a_row_of_the_users_own_has_no_place_in_a_file():
    with pytest.raises(ValueError, match="no row of the tables is named 'own'"):
        encode_row(ref.Activation("own", "z", "me", lambda z: z, lambda z: 1 + 0 * z, lambda z: 0 * z))
