"""Files as large as the bounds of the readers allow, each made to ask for much memory in its own way."""

from __future__ import annotations

from torch_compare.cases import vectors
from torch_compare.files import untrusted

BOMBS = (
    "zeros", "floats", "short texts", "bits", "empty lists", "empty objects", "blanks", "one byte too many",
    "one long text", "wide letters", "a long number", "too many lists", "many keys", "keys twice", "deep", "closing",
    "a case of zeros",
)  # fmt: skip
TENSOR_BOMBS = ("a large tensor", "FP8 that widens", "a header of blanks", "a header that is not there", "many tensors")
_ENTRY = b'{"dtype":"%s","shape":%s,"data_offsets":[0,%d]}'


def make_bomb(name: str) -> bytes:
    """The bomb of a name in `BOMBS` (JSON) or `TENSOR_BOMBS` (safetensors)."""
    most, values, tree = untrusted.LARGEST_FILE, untrusted.LARGEST_NUMBERS, untrusted.LARGEST_TREE
    half, narrow = most // 16 * 8, min(values, most - 4096)
    repeated = {
        "zeros": b"0", "floats": b"0.5", "short texts": b'"ab"', "bits": b'"0x3ff0000000000000"',
        "empty lists": b"[]", "empty objects": b"{}",
    }  # fmt: skip
    if name in repeated:
        limit = tree if name.startswith("empty") else values
        count = min(limit, most // (len(repeated[name]) + 1)) - 9
        return b'{"gradients": {"loss": [' + b",".join([repeated[name]] * count) + b"]}}"
    return {
        "blanks": lambda: b" " * most,
        "one byte too many": lambda: b" " * (most + 1),
        "one long text": lambda: b'"' + b"a" * (most - 2) + b'"',
        "wide letters": lambda: b'"' + b"a" * (most - 8) + "\U0001f600".encode() + b'"',
        "a long number": lambda: b"1" * most,
        "too many lists": lambda: b"[" + b"[]," * tree + b"[]]",
        "many keys": lambda: b"{" + b",".join(b'"%x":0' % n for n in range(tree - 8)) + b"}",
        "keys twice": lambda: b'{"a":0' + b',"a":0' * (tree - 8) + b"}",
        "deep": lambda: b"[" * (most // 2),
        "closing": lambda: b"]" * most,
        "a case of zeros": lambda: _case_of(b"0" + b",0" * (values - 1000)),
        "a large tensor": lambda: _file(b'{"loss":%s}' % (_ENTRY % (b"F64", b"[%d]" % (half // 8), half)), half),
        "FP8 that widens": lambda: _file(b'{"loss":%s}' % (_ENTRY % (b"F8_E4M3", b"[%d]" % narrow, narrow)), narrow),
        "a header of blanks": lambda: _file(b" " * untrusted.LARGEST_HEADER, 0),
        "a header that is not there": lambda: (2**63).to_bytes(8, "little") + b"{}",
        "many tensors": lambda: _file(b"{%s}" % b",".join(_empty_tensors(untrusted.LARGEST_HEADER // 60)), 0),
    }[name]()


def _empty_tensors(count: int) -> list[bytes]:
    return [b'"%x":%s' % (n, _ENTRY % (b"U8", b"[]", 0)) for n in range(count)]


def _file(header: bytes, size: int) -> bytes:
    return len(header).to_bytes(8, "little") + header + b"\0" * size


def _case_of(numbers: bytes) -> bytes:
    """A case whose x has so many decimals, and other bits."""
    text = (vectors.COMMITTED / "kink_relu.json").read_bytes()
    start = text.index(b'"decimal": [', text.index(b'"x":')) + len(b'"decimal": [')
    return text[:start] + numbers + text[text.index(b"]", start) :]
