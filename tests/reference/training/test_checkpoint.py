"""Checkpoints give back every bit, and read a file as hostile."""

import importlib
import json
import pickle
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save as to_bytes

import reference as ref
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from reference.training import checkpoint
from tests.reference.training.helpers import OPTIMIZERS, small_problem


def same(got, expected):
    """The same types, shapes, orders in memory and bits, all the way down."""
    if isinstance(expected, dict):
        return isinstance(got, dict) and list(got) == list(expected) and all(same(got[k], expected[k]) for k in got)
    if isinstance(expected, list | tuple):
        return (
            type(got) is type(expected)
            and len(got) == len(expected)
            and all(same(*pair) for pair in zip(got, expected, strict=True))
        )
    if isinstance(expected, np.ndarray | np.generic):
        return (
            type(got) is type(expected)
            and (got.dtype, got.shape) == (expected.dtype, expected.shape)
            and got.tobytes() == expected.tobytes()
        )
    if isinstance(expected, float):
        return type(got) is float and got.hex() == expected.hex()
    return type(got) is type(expected) and got == expected


def mlp(dtype=np.float64, widths=(3, 4, 2), bias=True, names=("leaky_relu", "identity"), seed=0):
    return ref.initialize(widths, names, seed=seed, dtype=dtype, bias=bias)


def arrays(network):
    return [(layer.weight, layer.bias) for layer in network.layers]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "training.safetensors"


@pytest.fixture
def saved(file):
    """A checkpoint with a state and something besides."""
    opt = ref.optimizers.adam()
    checkpoint.save(file, mlp(), opt.init(mlp()), {"step": 3, "losses": np.arange(3.0)})
    return file


# ── what is saved comes back ─────────────────────────────────────────────────────────────────────────

NUMBERS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(),
    hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.uint8, np.bool_, np.complex64]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    ),
    hnp.from_dtype(np.dtype(np.float32)),
)  # fmt: skip
TREES = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(state=st.dictionaries(st.text(), TREES, max_size=3), extra=TREES)
def test_every_tree_comes_back_bit_for_bit(tmp_path_factory, state, extra):
    file = tmp_path_factory.mktemp("trees") / "file"
    checkpoint.save(file, mlp(), state, extra)
    network, got_state, got_extra = checkpoint.load(file, mlp(seed=1))
    assert same(got_state, state)
    assert same(got_extra, extra)
    assert same(arrays(network), arrays(mlp()))


@pytest.mark.parametrize("value", [
    1, 1.0, True, 0.0, -0.0, float("inf"), float("nan"), 5e-324, 2**70, -1, (1,), [1], (), {}, None, "1",
    np.float64(1), np.float32(1), np.int64(1), np.array(1.0), np.array([]), np.array([-0.0, np.nan, np.inf, 5e-324]),
], ids=repr)  # fmt: skip
def test_kinds_of_numbers_are_told_apart(file, value):
    checkpoint.save(file, mlp(), {"value": value})
    _, state, extra = checkpoint.load(file, mlp())
    assert same(state, {"value": value})
    assert extra is None


def test_the_comparison_of_these_tests_sees_a_bit():
    assert not same(0.0, -0.0)
    assert not same(1, 1.0)
    assert not same(np.float64(1), 1.0)
    assert not same(np.array([0.0]), np.array([-0.0]))
    assert not same(np.zeros((1, 2)), np.zeros((2, 1)))
    assert not same({"a": (1,)}, {"a": [1]})


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("bias", [True, False])
def test_a_network_comes_back_with_the_rows_of_the_given_one(file, dtype, bias):
    one, other = mlp(dtype, bias=bias), mlp(dtype, bias=bias, seed=1)
    checkpoint.save(file, one, {})
    network, state, _ = checkpoint.load(file, other)
    assert same(arrays(network), arrays(one))
    assert [layer.activation for layer in network.layers] == [layer.activation for layer in other.layers]
    assert state == {}
    assert network.dtype == dtype


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_in_memory_comes_back(file, order):
    """A matrix product's last bit may depend on it."""
    value = np.asarray(np.random.default_rng(0).normal(size=(3, 4)), order=order)
    checkpoint.save(file, mlp(), {"value": value})
    got = checkpoint.load(file, mlp())[1]["value"]
    assert same(got, value)
    assert (got.flags.c_contiguous, got.flags.f_contiguous) == (order == "C", order == "F")


def test_views_and_foreign_byte_orders_are_saved_by_value(file):
    base = np.arange(24.0).reshape(4, 6)
    views = {"strided": base[::2, 1::3], "reversed": base[::-1], "foreign": base.astype(">f8")}
    checkpoint.save(file, mlp(), views)
    for key, got in checkpoint.load(file, mlp())[1].items():
        np.testing.assert_array_equal(got, views[key])
        assert got.dtype == np.float64


def test_keys_that_look_like_places_do_not_collide(file):
    state = {"a.b": np.array([1.0]), "a": {"b": np.array([2.0])}, "a['b']": np.array([3.0]), "c[0]": np.array([4.0]),
             "c": (np.array([5.0]),), "": np.array([6.0])}  # fmt: skip
    checkpoint.save(file, mlp(), state)
    assert same(checkpoint.load(file, mlp())[1], state)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_of_every_optimiser_comes_back(file, name):
    trained = ref.train(small_problem(), OPTIMIZERS[name], max_steps=3)
    checkpoint.save(file, trained.mlp, trained.state, {"step": trained.steps})
    network, state, extra = checkpoint.load(file, small_problem().mlp)
    assert same(arrays(network), arrays(trained.mlp))
    assert same(state, trained.state)
    assert extra == {"step": 3}


def test_what_comes_back_can_be_written_to(saved):
    network, state, extra = checkpoint.load(saved, mlp())
    for array in (network.layers[0].weight, state["exp_avg"][0], extra["losses"]):
        array += 1


def test_the_same_training_is_the_same_file(tmp_path):
    for name in "ab":
        checkpoint.save(tmp_path / name, mlp(), {"step": 1, "m": np.ones(2)}, {"x": 0.1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# ── what is not saved ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("value", "message"), [
    (np.array([1j]), r"state\.slots\[1\]: a safetensors file holds no array of complex128"),
    (np.longdouble(1), r"state\.slots\[1\]: a safetensors file holds no array of (longdouble|float128|float64)"),
    (np.array([None]), r"state\.slots\[1\]: a safetensors file holds no array of object"),
    (np.array(["a"]), r"state\.slots\[1\]: a safetensors file holds no array of <U1"),
    ({1, 2}, r"state\.slots\[1\]: a checkpoint holds .* got <class 'set'>"),
    ({"a": {2: 3}}, r"state\.slots\[1\]\.a: expected strings as keys, got 2"),
    (mlp(), r"state\.slots\[1\]: a checkpoint holds"),
])  # fmt: skip
def test_what_has_no_place_in_a_file_is_refused_by_its_place(file, value, message):
    with pytest.raises(TypeError, match=message):
        checkpoint.save(file, mlp(), {"slots": (0, value)})
    assert not file.exists()


def test_noisy_numbers_are_refused(file):
    source = NoiseSource(get_format("float64"), 4, np.random.default_rng(0))
    with pytest.raises(TypeError, match=r"state\.value"):
        checkpoint.save(file, mlp(), {"value": Noisy.exact(np.ones(2), source)})


def test_a_failed_save_leaves_the_old_file(saved):
    before = saved.read_bytes()
    with pytest.raises(TypeError):
        checkpoint.save(saved, mlp(), {"value": object()})
    assert saved.read_bytes() == before


def test_too_large_a_checkpoint_is_not_written(file, monkeypatch):
    monkeypatch.setattr(checkpoint, "LARGEST_FILE", 10_000)
    with pytest.raises(ValueError, match=r"training\.safetensors: \d+ bytes, more than 10000"):
        checkpoint.save(file, mlp(), {"value": np.zeros(10_000)})
    assert not file.exists()


# ── hostile files ────────────────────────────────────────────────────────────────────────────────────


def refused(file, message, network=None):
    """Loading raises ValueError, which names the file and says what is wrong."""
    with pytest.raises(ValueError, match=message) as raised:
        checkpoint.load(file, network or mlp())
    assert str(file) in str(raised.value)
    assert type(raised.value) is ValueError


def parts(file):
    """The document and the tensors of a checkpoint."""
    data = file.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"]["checkpoint"]), dict(tensors_of(data))


def rewrite(file, document, tensors):
    text = document if isinstance(document, str) else json.dumps(document)
    file.write_bytes(to_bytes(tensors, {"checkpoint": text}))


def raw(file, header, data=b""):
    """A safetensors file with this header, whatever it says."""
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_no_file_and_no_regular_file(tmp_path):
    refused(tmp_path / "nothing", "no such file")
    refused(tmp_path, "not a regular file")


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 100, 0.5, 0.9, -8, -1])
def test_a_truncated_file(saved, keep):
    data = saved.read_bytes()
    saved.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    refused(saved, "not a whole safetensors file")


def test_bytes_behind_the_end(saved):
    saved.write_bytes(saved.read_bytes() + b"\0" * 8)
    refused(saved, "not a whole safetensors file")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was run",))


@pytest.mark.parametrize("content", [
    pickle.dumps(Bomb()), b"", b"\x93NUMPY\x01\x00", b"{}", b"PK\x03\x04", np.random.default_rng(0).bytes(4096),
], ids=["pickle", "empty", "npy", "json", "zip", "noise"])  # fmt: skip
def test_something_else_in_disguise(file, content):
    file.write_bytes(content)
    refused(file, "not a whole safetensors file")


def test_a_pickle_in_an_array_stays_an_array(file):
    checkpoint.save(file, mlp(), {"value": np.frombuffer(pickle.dumps(Bomb()), np.uint8)})
    assert checkpoint.load(file, mlp())[1]["value"].dtype == np.uint8


def test_an_oversize_file_is_refused_before_it_is_opened(file, monkeypatch):
    with file.open("wb") as sparse:
        sparse.truncate(checkpoint.LARGEST_FILE + 1)
    monkeypatch.setattr(checkpoint, "safe_open", lambda *a, **k: pytest.fail("it was opened"))
    refused(file, f"{checkpoint.LARGEST_FILE + 1} bytes, more than {checkpoint.LARGEST_FILE}")


def test_an_oversize_header_is_refused_before_it_is_read(file, monkeypatch):
    with file.open("wb") as sparse:
        sparse.write((checkpoint.LARGEST_HEADER + 1).to_bytes(8, "little"))
        sparse.truncate(2 * checkpoint.LARGEST_HEADER)
    monkeypatch.setattr(checkpoint, "safe_open", lambda *a, **k: pytest.fail("it was opened"))
    refused(file, "a header of")


@pytest.mark.parametrize("place", ["layers[0].weight", "layers[1].bias", "state.exp_avg[2]", "extra.losses"])
def test_a_missing_array(saved, place):
    document, tensors = parts(saved)
    del tensors[place]
    rewrite(saved, document, tensors)
    refused(saved, f"{place.replace('[', '.').replace(']', '.')}: missing")


def test_an_array_too_many(saved):
    document, tensors = parts(saved)
    rewrite(saved, document, tensors | {"layers[0].mask": np.ones(3)})
    refused(saved, r"layers\[0\]\.mask: a tensor that has no place")


@pytest.mark.parametrize(("change", "message"), [
    (lambda w: w.astype(np.float32), r"layers\[0\]\.weight: expected float64, the type of the network, got float32"),
    (lambda w: w.astype(np.int64), r"layers\[0\]\.weight: expected float64, the type of the network, got int64"),
    (lambda w: w[:, :2].copy(), r"layers\[0\]\.weight: expected shape \(4, 3\), that of the network, got \(4, 2\)"),
    (lambda w: w.T.copy(), r"layers\[0\]\.weight: expected shape \(4, 3\), that of the network, got \(3, 4\)"),
    (lambda w: w.ravel(), r"layers\[0\]\.weight: expected shape \(4, 3\), that of the network, got \(12,\)"),
])  # fmt: skip
def test_an_array_of_another_shape_or_type(saved, change, message):
    document, tensors = parts(saved)
    rewrite(saved, document, tensors | {"layers[0].weight": change(tensors["layers[0].weight"])})
    refused(saved, message)


@pytest.mark.parametrize(("network", "message"), [
    (mlp(np.float32), r"layers\[0\]\.weight: expected float32"),
    (mlp(widths=(3, 5, 2)), r"layers\[0\]\.weight: expected shape \(5, 3\)"),
    (mlp(bias=False), r"layers\[0\]\.bias: expected None, as the network has, got an array"),
    (mlp(widths=(3, 4, 2, 1), names=("leaky_relu", "identity", "tanh")), r"layers: expected 3, .* got 2 of them"),
    (mlp(names=("tanh", "identity")),
     r"layers\[0\]\.activation: expected tanh, as the network has, got 'leaky_relu\(negative_slope=0.01\)'"),
    (mlp(names=(ref.activations.leaky_relu(negative_slope=0.2), "identity")), "expected leaky_relu.negative_slope=0.2"),
])  # fmt: skip
def test_a_checkpoint_of_another_network(saved, network, message):
    refused(saved, message, network)


def test_a_missing_bias(file):
    checkpoint.save(file, mlp(bias=False), {})
    refused(file, r"layers\[0\]\.bias: expected an array, got None")


@pytest.mark.parametrize(("document", "message"), [
    ("null", "whose metadata say"),
    ("[]", "whose metadata say"),
    ("{", "Expecting property name"),
    ('{"format": "gradient-oracle checkpoint 2"}', "whose metadata say"),
    ('{"format": NaN}', "NaN is no number"),
    ("[" * 100_000 + "]" * 100_000, "nested too deep"),
    ("1" * 5000, "whose metadata say|Exceeds the limit"),
])  # fmt: skip
def test_metadata_of_something_else(saved, document, message):
    rewrite(saved, document, parts(saved)[1])
    refused(saved, message)


def test_no_metadata(file):
    file.write_bytes(to_bytes({"layers[0].weight": np.ones((4, 3))}))
    refused(file, "whose metadata say")


@pytest.mark.parametrize("key", ["layers", "state", "extra"])
def test_a_missing_tree(saved, key):
    document, tensors = parts(saved)
    del document[key]
    rewrite(saved, document, tensors)
    refused(saved, f"{key}: missing")


def nested(depth):
    tree = 0
    for _ in range(depth):
        tree = {"list": [tree]}
    return tree


@pytest.mark.parametrize(("tree", "message"), [
    (1.5, r"extra: expected one kind of value, got 1\.5"),
    ([1], r"extra: expected one kind of value, got \[1\]"),
    ({}, r"extra: expected one kind of value, got \{\}"),
    ({"int": 1, "float": 2}, "extra: expected one kind of value"),
    ({"object": "os.system"}, "extra: no value is of kind 'object'"),
    ({"float": "1g"}, "extra: no float is written '1g'"),
    ({"float": 3}, "extra: no float is written 3"),
    ({"float": "0x1p99999"}, "extra: no float is written '0x1p99999'"),
    ({"dict": [1]}, r"extra: expected a dictionary, got \[1\]"),
    ({"list": {"a": 1}}, "extra: expected a list"),
    ({"tuple": "ab"}, "extra: expected a list"),
    ({"array": "C"}, "extra: missing"),
    ({"list": [{"array": "X"}]}, r"extra\[0\]: no array is laid out as 'X'"),
    ({"list": [{"array": ["C"]}]}, r"extra\[0\]: no array is laid out as"),
    (nested(400), "nested too deep|extra"),
    ({"x" * 10_000: 1}, r"extra: no value is of kind 'x{50,60}\.\.\."),
])  # fmt: skip
def test_a_tree_that_is_none(saved, tree, message):
    document, tensors = parts(saved)
    rewrite(saved, document | {"extra": tree}, tensors)
    refused(saved, message)


def test_an_array_used_twice(saved):
    document, tensors = parts(saved)
    text = json.dumps(document)
    assert text.count('"losses": {"array": "C"}') == 1
    twice = text.replace('"losses": {"array": "C"}', '"losses": {"array": "C"}, "losses": {"array": "C"}')
    rewrite(saved, twice, tensors)
    checkpoint.load(saved, mlp())  # JSON keeps the last of equal keys: the array is read once
    rewrite(saved, document | {"extra": {"dict": {"losses": {"array": "scalar"}}}}, tensors)
    refused(saved, r"extra\.losses: expected a scalar, got shape \(3,\)")


def test_a_state_that_is_no_dictionary(saved):
    document, tensors = parts(saved)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("state")}
    rewrite(saved, document | {"state": {"list": []}}, kept)
    refused(saved, "state: expected a dictionary, got list")


@pytest.mark.parametrize("layers", [None, {"list": [1, 2]}, {"dict": {}}, {"list": []}])
def test_layers_that_are_none(saved, layers):
    document, tensors = parts(saved)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("layers")}
    rewrite(saved, document | {"layers": layers}, kept)
    refused(saved, r"layers(\[0\]\.weight)?: (expected 2|missing)")


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "C64"])
def test_a_type_that_numpy_lacks_or_that_does_not_fit(saved, dtype):
    document, _ = parts(saved)
    size = {"BF16": 2, "F8_E4M3": 1, "C64": 8}[dtype]
    document["extra"] = {"array": "C"}
    tensors = {
        name: {"dtype": dtype if name == "extra" else "F64", "shape": [1], "data_offsets": [0, size]}
        for name in ("extra",)
    }
    document["layers"], document["state"] = {"list": []}, {"dict": {}}
    raw(saved, {"__metadata__": {"checkpoint": json.dumps(document)}, **tensors}, b"\0" * size)
    refused(saved, "layers: expected 2")
    document["layers"] = {"list": [{"array": "C"}]}
    place = tensors.pop("extra")
    text = {"__metadata__": {"checkpoint": json.dumps(document)}, "layers[0]": place}
    raw(saved, text, b"\0" * size)
    refused(saved, "layers: expected 2" if dtype == "C64" else rf"layers\[0\]: NumPy has no {dtype}")


@pytest.mark.parametrize("claim", [
    {"dtype": "F64", "shape": [2**40], "data_offsets": [0, 2**43]},
    {"dtype": "F64", "shape": [2**62, 4], "data_offsets": [0, 8]},
    {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]},
    {"dtype": "F64", "shape": [1], "data_offsets": [8, 0]},
    {"dtype": "object", "shape": [1], "data_offsets": [0, 8]},
])  # fmt: skip
def test_a_header_that_lies(file, claim):
    raw(file, {"__metadata__": {"checkpoint": "{}"}, "layers[0].weight": claim}, b"\0" * 8)
    refused(file, "not a whole safetensors file")


@given(seed=st.integers(0, 2**32 - 1))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    file = tmp_path_factory.mktemp("damaged") / "file"
    checkpoint.save(file, mlp(), ref.optimizers.adam().init(mlp()), OrderedDict(step=3, rate=0.1))
    data = bytearray(file.read_bytes())
    header = 8 + int.from_bytes(data[:8], "little")
    for _ in range(rng.integers(1, 4)):
        data[rng.integers(0, header if rng.random() < 0.9 else len(data))] = rng.integers(256)
    file.write_bytes(bytes(data))
    try:
        checkpoint.load(file, mlp())
    except ValueError as error:
        assert str(file) in str(error)  # noqa: PT017 (most damage is refused, not all of it)


def told(file, **claim):
    """What the library says of such a tensor, which it quotes, and what we make of it."""
    tensor = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]} | claim
    raw(file, {"__metadata__": {"checkpoint": "{}"}, "a": tensor}, b"\0" * 8)
    with pytest.raises(SafetensorError) as theirs, safe_open(file, framework="numpy"):
        pass
    with pytest.raises(ValueError, match="not a whole safetensors file") as ours:
        checkpoint.load(file, mlp())
    return str(theirs.value), str(ours.value).removeprefix(f"{file}: not a whole safetensors file: ")


def test_what_a_hostile_file_says_is_shown_as_printable_text(file):
    theirs, ours = told(file, dtype="\x1b[31mred\u202e\n")
    assert "\x1b" in theirs, "the library escapes it by itself: this test shows nothing"
    assert ours.isprintable()
    assert r"\x1b[31mred\u202e\n" in ours


def test_300_characters_of_an_error_are_shown_and_no_more(file):
    # The library adds the column, whose digits count too: the text is found among those of every length.
    found = {len(theirs): (theirs, ours) for theirs, ours in (told(file, shape="x" * n) for n in range(100, 280))}
    whole, cut = found[300], found[301]
    assert whole[1] == whole[0]
    assert cut[1] == f"{cut[0][:300]}..."


@pytest.mark.parametrize("length", [60, 61])
def test_60_characters_of_a_value_are_shown_and_no_more(saved, length):
    document, tensors = parts(saved)
    rewrite(saved, document | {"extra": {"float": "z" * (length - 2)}}, tensors)
    shown = "'" + "z" * 58 + "'" if length == 60 else "'" + "z" * 56 + "..."
    refused(saved, rf"extra: no float is written {shown}$")


def test_the_module_is_found_by_its_public_name():
    assert importlib.import_module("reference.checkpoint") is ref.checkpoint is checkpoint


# ── whole files ──────────────────────────────────────────────────────────────────────────────────────


def test_a_changed_number_is_found(saved):
    """Nothing else is wrong with the file: the last byte is one of a tensor's."""
    data = bytearray(saved.read_bytes())
    data[-1] ^= 1
    saved.write_bytes(data)
    refused(saved, "damaged: its checksum is not that of its contents")


@pytest.mark.parametrize("bit", range(8))
def test_no_damaged_bit_passes(saved, bit):
    """A byte of every part of the file, one bit at a time: refused, or not in what is read (blanks of the header)."""
    whole = saved.read_bytes()
    before = checkpoint.load(saved, mlp())
    for place in range(0, len(whole), 7):
        data = bytearray(whole)
        data[place] ^= 1 << bit
        saved.write_bytes(data)
        try:
            after = checkpoint.load(saved, mlp())
        except ValueError as error:
            assert str(error).startswith(str(saved))  # noqa: PT017 (most places raise, a few may not)
        else:
            assert same(after[1:], before[1:])
            assert same(arrays(after[0]), arrays(before[0]))


def test_files_of_before_there_were_checksums_are_read(saved):
    before = checkpoint.load(saved, mlp())
    document, tensors = parts(saved)
    del document["sha256"]
    rewrite(saved, document, tensors)
    assert same(checkpoint.load(saved, mlp())[1:], before[1:])


def test_a_wrong_checksum_and_one_under_another_name(saved):
    document, tensors = parts(saved)
    proof = document.pop("sha256")
    for entry, message in (({"sha256": "0" * 64}, "damaged: its checksum"), ({"sha257": proof}, "no checkpoint has")):
        rewrite(saved, document | entry, tensors)
        refused(saved, message)


def test_two_writers_at_once_never_mix(file):
    """The file is one of theirs at every moment, and nothing of them is left beside it."""
    networks = [mlp(seed=seed, widths=(3, 64, 2)) for seed in range(4)]
    checkpoint.save(file, networks[0], {"seed": 0})
    done, wrong = threading.Event(), []

    def write(seed):
        for _ in range(25):
            checkpoint.save(file, networks[seed], {"seed": seed})

    def read():
        while not done.is_set():
            found, state, _ = checkpoint.load(file, networks[0])
            if not same(arrays(found), arrays(networks[state["seed"]])):
                wrong.append(state)

    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read)
        try:
            for writing in [pool.submit(write, seed) for seed in range(4)]:
                writing.result()
        finally:
            done.set()
        reading.result()
    assert not wrong
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_write_that_fails_leaves_nothing(saved, monkeypatch):
    before = saved.read_bytes()

    def full(self, target):
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(saved, mlp(seed=1), {})
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
