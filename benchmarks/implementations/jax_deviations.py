"""Where JAX's gradient is not the derivative of the function that JAX documents, and rounding is no excuse.

A published list, as `torch_compare.torch_side.deviations` is of torch. Found by sweeping the activations of `peers`
over float64, float32 and float16 (over bfloat16 beyond ±1), by the hard inputs of the atlas of operations in float64
and float32, and by trying single functions of `peer_operations` at kinks, ties, zeros, subnormals and infinities.
What is not on it: a rounding error u of the customary formula, however many digits that costs (1 − tanh², y(1 − y),
1/(1 + |z|) − |z|/(1 + |z|)²). That is held to the scale of the function by itself; a verdict on a network allows
besides that σ(z) or 1/(1 + |z|)² is lost below the smallest normal number, which covers the examples of soft_sign and
silu in float16. The rows are data: JAX is imported by `by_jax` alone. Every example was run under jax.jit too, with
the same result; what jax.jit alone loses has none.
"""

from __future__ import annotations

from types import MappingProxyType

from .jax_deviation_row import Example, JaxDeviation

MEASURED_WITH = "0.10.2"
"""The version of JAX whose numbers the examples have, on a CPU (x86-64)."""
INFINITY, NAN = float("inf"), float("nan")


# ── lost numbers ─────────────────────────────────────────────────────────────────────────────────────

_FUNCTIONS = "jax/_src/nn/functions.py"
_LAX = "jax/_src/lax/lax.py"

GELU_TANH_OVERFLOW = JaxDeviation(
    "gelu_tanh_overflow",
    "gelu(approximate=True) where 3z² overflows: |z| > 7.7e153 in float64, > 1.06e19 in float32, > 147 in float16; of "
    "a single number under jax.jit, which merges the 3 with other factors, where z² does",
    "1 − tanh² = 0 is multiplied by the derivative of z³, which is infinite: NaN, where the derivative is 0 or 1",
    f"{_FUNCTIONS}, gelu",
    (
        Example("jax.nn.gelu", (2e154,), NAN, 1.0),
        Example("jax.nn.gelu", (-2e19,), NAN, 0.0, "float32"),
        Example("jax.nn.gelu", (-300.0,), NAN, 0.0, "float16"),
    ),
)

COMPILED_MAXIMUM = JaxDeviation(
    "compiled_maximum",
    "maximum and minimum under jax.jit, in bfloat16, of a number that was computed: hinges, relu behind a sum, clip; "
    "with JAX 0.10.2 on a CPU in arrays of 4,096 rows and more, for example multi_margin",
    "the gradient goes to the argument that is equal to the result, and XLA compares the one before its rounding to "
    "bfloat16 with the other behind it: 0 where they differ, which may be nearly everywhere; without jax.jit, or with "
    "XLA_FLAGS=--xla_allow_excess_precision=false, the gradient is right",
    f"{_LAX}, max_p, _balanced_eq; jax-ml/jax#40564 has the same from two codes of a GPU",
    (),
)
"""Its example is a program of 4,096 rows: see the tests of false alarms."""

JAX_DEVIATIONS: tuple[JaxDeviation, ...] = (
    GELU_TANH_OVERFLOW,
    COMPILED_MAXIMUM,
    JaxDeviation(
        "denominator_squared_out_of_range",
        "x/y, and so soft_sign, where y² or 1/y² leaves the range: |y| beyond 6.7e153 or below 1.5e−154 in float64, "
        "9.2e18 or 1.1e−19 in float32, 256 or 0.0039 in float16",
        "the derivative by y is −x·y⁻², y⁻² by itself; −(x/y)/y stays in range: 0 or infinite; soft_sign's 1/(1 + |z|) "
        "has nothing to cancel with, and stands for 1/(1 + |z|)²",
        f"{_LAX}, div_p and integer_pow_p",
        (
            Example("jax.numpy.divide", (1e-200, 1e-200), -INFINITY, -1e200, by=1),
            Example("jax.numpy.divide", (1e200, 1e200), 0.0, -1e-200, by=1),
            Example("jax.numpy.divide", (0.001, 0.001), -INFINITY, -999.6, "float16", by=1),
            Example("jax.nn.soft_sign", (300.0,), 0.003323, 1.104e-05, "float16"),
        ),
    ),
    JaxDeviation(
        "power_of_exponent_0",
        "power(x, y) where x = 0 and y = 0, in every number type",
        "the derivative by x is y·x^(y − 1), 0·∞: NaN, where x⁰ is the constant 1",
        f"{_LAX}, _pow_jvp_lhs",
        (Example("jax.numpy.power", (0.0, 0.0), NAN, 0.0),),
    ),
    JaxDeviation(
        "root_of_0",
        "linalg.norm and linalg.vector_norm of zeros (order 2 and others above 1), std of a constant row, in every "
        "number type",
        "the derivative of the root, ∞, times that of the sum under it, 0: NaN, where 0 is between the slopes on both "
        "sides",
        "jax/_src/numpy/linalg.py, norm; jax/_src/numpy/reductions.py, std",
        (
            Example("jax.numpy.linalg.norm", ((0.0, 0.0),), (NAN, NAN), (0.0, 0.0)),
            Example("jax.numpy.std", ((2.0, 2.0),), (NAN, NAN), (0.0, 0.0), "float32"),
        ),
    ),
    JaxDeviation(
        "squares_out_of_range",
        "linalg.norm, linalg.vector_norm, std and nn.standardize: elements whose squares (of vector_norm: whose "
        "powers) overflow, or all so small that they underflow (of standardize: ε no larger), about 1e154 and 1e−154 "
        "in float64, 1e19 and 1e−19 in float32, 256 and 2e−4 in float16",
        "adds up x² as they are; one divided by the largest element beforehand stays in range: gradients are 0, "
        "infinite or NaN",
        f"jax/_src/numpy/linalg.py, norm; jax/_src/numpy/reductions.py, std; {_FUNCTIONS}, standardize",
        (
            Example("jax.numpy.linalg.norm", ((3e160, 4e160),), (0.0, 0.0), (0.6, 0.8)),
            Example("jax.numpy.linalg.norm", ((3e-171, 4e-171),), (INFINITY, INFINITY), (0.6, 0.8)),
            Example("jax.numpy.linalg.norm", ((300.0, 400.0),), (0.0, 0.0), (0.6, 0.8), "float16"),
            Example("jax.numpy.std", ((300.0, -300.0),), (0.0, 0.0), (0.5, -0.5), "float16"),
            Example("jax.nn.standardize", ((300.0, -300.0),), (0.0, 0.0), (1.0, -1.0), "float16", by=None),
        ),
    ),
    JaxDeviation(
        "standardize_fast_variance",
        'nn.standardize (algorithm="fast", the default): rows whose mean is far from 0, measured by their spread: 1e8 '
        "times in float64, 4e3 times in float32",
        "the variance is the mean of squares less the square of the mean, clipped at 0: no digit of it is left, and ε "
        'stands for it. JAX\'s documentation says so; algorithm="stable" keeps the digits',
        f"{_FUNCTIONS}, standardize",
        (
            Example(
                "jax.nn.standardize",
                ((16383.0, 16385.0),),
                (-1024.0, 1024.0),
                (-0.9999995, 0.9999995),
                "float32",
                by=None,
                parameters=MappingProxyType({"epsilon": 2.0**-20}),
            ),
        ),
    ),
    JaxDeviation(
        "products_out_of_range",
        "cumprod where the product of some neighbours underflows or overflows, though the running product may be in "
        "range again; in every number type",
        "where it is differentiated it multiplies by pairs (associative_scan): 1e−180·1e−180 = 0 meets "
        "1e180·1e180 = ∞, in the value that comes with the gradient and in the gradient",
        "jax/_src/lax/control_flow/loops.py, cumprod; associative_scan",
        (
            Example(
                "jax.numpy.cumprod",
                ((1e-180, 1e-180, 1e180, 1e180),),
                (1e-180, 0.0, 0.0, NAN),
                (1e-180, 0.0, 1e-180, 1.0),
                by=None,
            ),
            Example(
                "jax.numpy.cumprod",
                ((1e-180, 1e-180, 1e180, 1e180),),
                (INFINITY, INFINITY, 0.0, 0.0),
                (1e180, 1e180, 1e-180, 1e-180),
                d_y=(0.0, 0.0, 0.0, 1.0),
            ),
        ),
    ),
    JaxDeviation(
        "logsumexp_of_nothing",
        "logsumexp, lax.cumlogsumexp and logaddexp where all that is added up is −∞, in every number type",
        "divides by the sum of the exponentials, which is 0: NaN, even where nothing of the output is used",
        "jax/_src/ops/special.py, logsumexp; jax/_src/lax/other.py, _logaddexp_jvp",
        (
            Example("jax.scipy.special.logsumexp", ((-INFINITY, -INFINITY),), (NAN, NAN), (0.0, 0.0), d_y=0.0),
            Example("jax.numpy.logaddexp", (-INFINITY, -INFINITY), NAN, 0.5),
        ),
    ),
    JaxDeviation(
        "logaddexp_of_infinities",
        "logaddexp of ∞ and ∞, in every number type",
        "each gets 1, and both together 2, though logaddexp(x, x) = x + log 2 has the slope 1; of equal finite numbers "
        "each gets ½",
        "jax/_src/lax/other.py, _logaddexp_jvp",
        (Example("jax.numpy.logaddexp", (INFINITY, INFINITY), 1.0, 0.5),),
    ),
    JaxDeviation(
        "products_at_infinity",
        "silu, gelu, mish, hard_silu at −∞, soft_sign at ±∞, and the gradients of all but hard_silu at both; in "
        "every number type",
        "multiplies z by a gate that is 0 there, or divides it by itself: 0·∞ or ∞/∞, where the limit is finite",
        _FUNCTIONS,
        (
            Example("jax.nn.silu", (-INFINITY,), NAN, 0.0, by=None),
            Example("jax.nn.silu", (INFINITY,), NAN, 1.0),
            Example("jax.nn.gelu", (-INFINITY,), NAN, 0.0, parameters=MappingProxyType({"approximate": False})),
            Example("jax.nn.mish", (-INFINITY,), NAN, 0.0, "float32"),
            Example("jax.nn.soft_sign", (INFINITY,), NAN, 1.0, by=None),
            Example("jax.nn.hard_silu", (-INFINITY,), NAN, 0.0, by=None),
        ),
    ),
    JaxDeviation(
        "subnormals_are_0",
        "every function, in float64, float32 and bfloat16, at or through a subnormal number: below 2.2e−308 or "
        "1.2e−38; float16, which is computed in float32, keeps its own",
        "XLA's code for CPUs takes subnormal numbers for 0, in comparisons too: relu, selu and leaky_relu then take "
        "the slope of the other side, and log, sqrt and 1/x are infinite",
        "XLA, not JAX itself: denormals are flushed while compiled code runs",
        (
            Example("jax.nn.relu", (1e-310,), 0.0, 1.0),
            Example("jax.nn.selu", (1e-310,), 1.7580993408473766, 1.0507009873554805),
            Example("jax.nn.leaky_relu", (-1e-40,), 1.0, 0.01, "float32"),
            Example("jax.numpy.log", (1e-310,), -INFINITY, -713.8013788281542, by=None),
            Example("jax.numpy.sqrt", (1e-310,), INFINITY, 5.000000000000008e154),
        ),
    ),
    JaxDeviation(
        "sigmoid_overflow_in_float16",
        "sigmoid, and so silu and glu, in float16 where e^(−z) overflows: z < −11.09",
        "1/(1 + e^(−z)) is 1/∞ = 0, where float16 has σ(z) down to z = −16.6, and silu(−12) is not even subnormal; "
        "softplus keeps its own",
        "jax/_src/lax/lax.py, logistic",
        (
            Example("jax.nn.sigmoid", (-12.0,), 0.0, 6.14e-06, "float16", by=None),
            Example("jax.nn.silu", (-12.0,), 0.0, -7.373e-05, "float16", by=None),
            Example("jax.nn.silu", (-12.0,), 0.0, -6.76e-05, "float16"),
        ),
    ),
    JaxDeviation(
        "attention_in_float32",
        "nn.dot_product_attention in float64",
        "the softmax is taken in float32: relative errors of 6e−8, and NaN where a score is beyond 3.4e38",
        f"{_FUNCTIONS}, _dot_product_attention_core",
        (
            Example(
                "jax.nn.dot_product_attention",
                ((((1.0,),),), (((0.0,),), ((2.0**-30,),)), (((1.0,),), ((2.0,),))),
                (((1.5,),),),
                (((1.5000000002328306,),),),
                by=None,
            ),
            Example(
                "jax.nn.dot_product_attention",
                ((((1.0,),),), (((0.0,),), ((1e39,),)), (((1.0,),), ((2.0,),))),
                (((NAN,),),),
                (((2.0,),),),
                by=None,
            ),
        ),
    ),
)
"""Where digits are lost, or all of them."""

# ── other conventions ────────────────────────────────────────────────────────────────────────────────

JAX_CONVENTIONS: tuple[JaxDeviation, ...] = (
    JaxDeviation(
        "abs_at_0",
        "abs at 0 and −0, and so vector_norm of order 1",
        "the slope from the right; torch and we take 0",
        f"{_LAX}, abs_p",
        (Example("jax.numpy.abs", (0.0,), 1.0, 0.0), Example("jax.numpy.abs", (-0.0,), 1.0, 0.0)),
    ),
    JaxDeviation(
        "leaky_relu_at_0",
        "leaky_relu at 0 and −0",
        "1, the slope from the right, as its documentation has x for x ≥ 0; torch and we take that from the left",
        f"{_FUNCTIONS}, leaky_relu",
        (Example("jax.nn.leaky_relu", (0.0,), 1.0, 0.01),),
    ),
    JaxDeviation(
        "hard_tanh_at_the_bounds",
        "hard_tanh at −1 and 1",
        "1, the slope inside, as its documentation has x for −1 ≤ x ≤ 1; torch and we take 0",
        f"{_FUNCTIONS}, hard_tanh",
        (Example("jax.nn.hard_tanh", (-1.0,), 1.0, 0.0), Example("jax.nn.hard_tanh", (1.0,), 1.0, 0.0)),
    ),
    JaxDeviation(
        "clip_at_the_bounds",
        "clip at its bounds",
        "½, the mean of both slopes; torch and we take 1",
        "jax/_src/numpy/lax_numpy.py, clip, by minimum and maximum",
        (Example("jax.numpy.clip", (1.0,), 0.5, 1.0, parameters=MappingProxyType({"min": 0.0, "max": 1.0})),),
    ),
    JaxDeviation(
        "maximum_is_no_relu",
        "maximum(x, 0) at 0 and −0",
        "½, as of every tie of maximum, minimum, max and min, of torch's and of ours too; nn.relu takes 0",
        f"{_LAX}, max_p",
        (Example("jax.numpy.maximum", (0.0, 0.0), 0.5, 0.5),),
    ),
)
"""Kinks where JAX takes another slope than the reference, or than its own relu, which is not wrong."""
