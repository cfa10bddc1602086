"""The few operations that each arithmetic must answer in its own way.

The calculus of this package is written with operators, ``@``, reductions and ufuncs, which every
array type answers through NumPy's dispatch protocols. What those cannot express stands here: the
rounding error of a sum or a product (which only a rounding arithmetic has), irrational constants (which
each arithmetic holds to its own precision), and the guard against overflow (which only a type of bounded
range needs). `numpy.ndarray` is answered here; any other array type answers by methods of the same name
(`Arithmetic`).
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from .array import Arithmetic, Array, NumPyArray, Term, is_numpy
from .constants import Constant
from .error_free import SPLITTER, lost_by_product, lost_by_sum
from .formats import Format, step_format
from .symbol import Symbol
from .wide import NOTHING, Wide


def _other(z: Array) -> Arithmetic:
    """Another array type than NumPy's, which answers for itself."""
    return cast(Arithmetic, z)


def magnitude(z: Array) -> Array:
    """|z|, continued analytically off the real axis: −z where z < 0, else z.

    Complex numbers are compared by their real part and then by their imaginary part, here as in every other
    comparison of the calculus, so that all of them take the same side where the real part is 0.

    >>> magnitude(np.array([-2.0, 3.0])), magnitude(np.array([-2 + 1e-9j]))
    (array([2., 3.]), array([2.-1.e-09j]))
    """
    if not is_numpy(z):
        return _other(z).magnitude()
    return np.abs(z) if z.dtype.kind == "f" else np.where(z < 0, -z, z)


def is_negative(z: Array) -> Array:
    """Where z < 0: for a function without a kink there that is written in one form for each side.

    Noisy numbers answer each for itself. `z < 0` is where a kink may be crossed: some of their runs then take the other
    side (see `noise_model`), on which the form for this one is another function.

    >>> is_negative(np.array([-2.0, -0.0, 3.0]))
    array([ True, False, False])
    """
    return z < 0 if is_numpy(z) else _other(z).is_negative()


def limited(z: Array, bound: float) -> Array:
    """z with its real part limited to ±bound; for functions that have under- or overflowed by then.

    It keeps the intermediate results of a formula in range where the type has no room for the final one;
    an arithmetic without such limits returns z itself.
    """
    if not is_numpy(z):
        return _other(z).limited(bound)
    if z.dtype.kind == "f":
        return np.minimum(np.maximum(z, -bound), bound)
    return np.where(np.abs(z.real) <= bound, z, np.copysign(bound, z.real))


def finite(z: Array) -> Array:
    """z with infinities replaced by the largest finite numbers, for formulas whose limit a quotient ∞/∞ hides."""
    if not is_numpy(z):
        return _other(z).finite()
    with np.errstate(all="ignore"):
        if np.isfinite(np.asarray(z).sum()):  # one infinity or NaN would be left in the sum
            return z
    return limited(z, np.finfo(z.dtype).max)


def has_room(z: Array) -> bool:
    """Whether z holds numbers of a narrow type in a wider one: no sum of them overflows."""
    return isinstance(z, Wide) or (isinstance(z, Symbol) and z.program.wide)


def keeps(z: Array) -> bool:
    """Whether what was computed on the way to a value of z may serve its derivative again.

    Noise does not keep it: some kernels do, others compute it again, and the rounding of either is right.
    """
    return is_numpy(z) or _other(z).keeps


def two_sum(x: Array, y: Term) -> tuple[Array, Term]:
    """s and e with s = fl(x + y) and s + e = x + y exactly (Knuth, TAOCP 2, §4.2.2, theorem B).

    An arithmetic that does not round, that carries its own error, or that has digits to spare returns e = 0.
    """
    if not is_numpy(x):
        return _other(x).two_sum(y)
    if not isinstance(y, float | int) and not is_numpy(y):
        return _other(y).two_sum(x)
    s = x + y
    if isinstance(s, Wide):
        return s, NOTHING
    if s.dtype.kind == "c":
        return s, np.zeros_like(s)
    return s, lost_by_sum(x, y, s)


def two_product(x: Array, y: Term) -> tuple[Array, Term]:
    """p and e with p = fl(x·y) and p + e = x·y exactly, barring underflow (Dekker 1971, §5).

    |x| and |y| must stay below 2^(emax − p/2 − 1), or the splitting overflows; see `limited`.
    """
    if not is_numpy(x):
        return _other(x).two_product(y)
    p = x * y
    if isinstance(p, Wide):
        return p, NOTHING
    if p.dtype.kind == "c":
        return p, np.zeros_like(p)
    splitter = p.dtype.type(SPLITTER[np.finfo(p.dtype).nmant + 1])
    return p, lost_by_product(x, np.asarray(y, p.dtype), p, splitter)


def constant(c: Constant, z: Array) -> Array:
    """The constant in the arithmetic of z, to that arithmetic's precision."""
    return constant_parts(c, z)[0]


def constant_parts(c: Constant, z: Array) -> tuple[Array, Term]:
    """The constant in the arithmetic of z as a sum of a high and a low part."""
    if not is_numpy(z):
        return _other(z).constant(c)
    high, low = c.in_dtype(z.dtype)
    return high, NOTHING if isinstance(z, Wide) else low


def indicator(mask: Array, z: Array) -> Array:
    """1 where the mask is true, 0 elsewhere, in the arithmetic of z."""
    return np.asarray(mask).astype(z.dtype) if is_numpy(z) else _other(z).indicator(mask)


def number_holding(mask: Any, numbers: NumPyArray) -> Any:
    """Whether exactly so many of the truth values along the last axis hold: (…, n, m) and (K,) ↦ (…, K, n).

    >>> number_holding(np.array([[True, False], [True, True]]), np.array([1, 2]))
    array([[ True, False],
           [False,  True]])
    """
    if not isinstance(mask, np.ndarray):
        return mask.number_holding(numbers)
    return mask.sum(axis=-1)[..., None, :] == numbers[:, None]


def parameter(values: object, z: Array) -> Array:
    """An array of parameters (class weights, say) in the arithmetic of z."""
    if not is_numpy(z):
        return _other(z).parameter(values)
    return np.asarray(values, dtype=z.real.dtype)


def largest(z: Array, axis: int = -1) -> tuple[Array, Array]:
    """A mask of the shape of z with one largest entry along the axis, and that entry, with the axis kept.

    The entry is real: a shift by it leaves derivatives alone. Where entries tie (or no precision tells
    them apart), any of them will do, for what is shifted by it does not depend on the choice.

    >>> largest(np.array([[1.0, 3.0, 2.0]]))
    (array([[False,  True, False]]), array([[3.]]))
    """
    if not is_numpy(z):
        return _other(z).largest(axis)
    real = z.real
    place = np.arange(z.shape[axis]).reshape(-1, *(1,) * (z.ndim - 1 - axis % z.ndim))
    return place == np.asarray(real.argmax(axis=axis, keepdims=True)), real.max(axis=axis, keepdims=True)


def larger(x: Array, y: Term) -> tuple[Array, Array]:
    """`largest` of two numbers that are once in a row, x (…, 1): whether that is x, and the larger one.

    >>> larger(np.array([[3.0], [0.5]]), 1.0)
    (array([[ True],
           [False]]), array([[3.],
           [1.]]))
    """
    if is_numpy(x) or isinstance(x, Symbol):
        return x >= y, np.maximum(x, y)
    mask, found = largest(np.concatenate([x, zeros(x.shape, x) + y], axis=-1))
    return mask[..., :1], found


def peak(z: Array, axis: int = -1) -> Array:
    """The entry that `largest` finds, without its mask.

    >>> peak(np.array([[1.0, 3.0, 2.0]]))
    array([[3.]])
    """
    return z.real.max(axis=axis, keepdims=True) if is_numpy(z) else _other(z).largest(axis)[1]


def zeros(shape: tuple[int, ...], like: Array) -> Array:
    """Zeros of the shape, in the arithmetic (and of the number type) of `like`.

    >>> zeros((2,), np.ones(1, np.float32))
    array([0., 0.], dtype=float32)
    """
    return np.zeros(shape, dtype=like.dtype) if is_numpy(like) else _other(like).zeros(shape)


def added_at(shape: tuple[int, ...], index: Any, values: Array) -> Array:
    """Zeros of the shape with the values added at a NumPy index; what falls on one place is summed up.

    >>> added_at((3,), np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0]))
    array([1., 0., 5.])
    """
    if not is_numpy(values):
        return _other(values).added_at(shape, index)
    total = np.zeros(shape, dtype=values.dtype)
    places = np.arange(total.size).reshape(shape)[index]
    # NumPy adds at one flat index several times as fast as at any other
    np.add.at(total.reshape(-1), places.ravel(), np.broadcast_to(values, places.shape).ravel())
    return total


def added_to(y: Array, more: Array) -> Array:
    """y + more for a y that nobody else has: in its own memory, where it is NumPy's and has room for the sum."""
    if type(y) is not np.ndarray or not is_numpy(more) or y.dtype != np.result_type(y, more):
        return y + more
    y += more
    return y


def in_format(z: Array, form: Format | str | None) -> Array:
    """z as a step that computes and stores in a format takes it; None stands for the format of the whole problem.

    A NumPy array comes back as it is: its format is its type. So does a ball, which is of none.
    """
    return z if is_numpy(z) else _other(z).in_format(step_format(form) if isinstance(form, str) else form)


def stored_like(z: Array, like: Any) -> Array:
    """z rounded to the format that `like` is stored in, as a gradient is to that of its value; see `in_format`."""
    return z if is_numpy(z) else _other(z).stored_like(like)


def exp_of_sum(high: Array, low: Term = 0.0) -> tuple[Array, Term]:
    """e and r with exp(high + low) = e(1 + r), low and r ≪ 1.

    NumPy's float32 exponential is up to 2.3 ulps off; through float64, to 0.5 ulps, and low goes in with it.

    >>> exp_of_sum(np.array([-3.0], np.float32), np.array([1e-9], np.float32))
    (array([0.04978707], dtype=float32), 0.0)
    """
    if is_numpy(high) and high.dtype.kind == "f" and high.dtype.itemsize < np.dtype(np.float64).itemsize:
        return np.exp(high.astype(np.float64) + low).astype(high.dtype), 0.0
    return np.exp(high), low


def tanh_residual(z: Array) -> Array:
    """z − tanh z without cancellation.

    For |z| < 2 by Lambert's continued fraction, tanh z = z/(1 + z²/(3 + z²/(5 + …))), all of whose terms
    are positive: z − tanh z = z·z²/(z² + 3 + z²/(5 + …)) (Abramowitz & Stegun 4.5.70). 15
    partial quotients leave 2e-20 at |z| = 2. An arithmetic of unbounded precision just subtracts.
    """
    if not is_numpy(z):
        return _other(z).tanh_residual()
    within = np.abs(z.real) < 2
    near = np.where(within, z, 0)
    square = near * near
    q = square / 31
    for odd in range(29, 3, -2):
        q = square / (odd + q)
    return np.where(within, near * (square / (square + (3 + q))), z - np.tanh(z))
