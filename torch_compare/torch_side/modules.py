"""Modules of torch.nn: the problem that they state, and the gradients that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so
from torch import Tensor, nn

import reference as ref
from reference.network.unchecked import changed

from .functions import LOSSES
from .gradients import differentiate
from .module_layers import As, kind_of, layers_of
from .tensors import NUMBERS, Array, array, tensor

_LOSS_MODULES: Mapping[type[nn.Module], str] = {
    nn.MSELoss: "mse", nn.L1Loss: "l1", nn.SmoothL1Loss: "smooth_l1", nn.HuberLoss: "huber", nn.NLLLoss: "nll",
    nn.CrossEntropyLoss: "cross_entropy", nn.BCELoss: "bce", nn.BCEWithLogitsLoss: "bce_with_logits",
    nn.KLDivLoss: "kl_div", nn.PoissonNLLLoss: "poisson_nll", nn.GaussianNLLLoss: "gaussian_nll",
    nn.SoftMarginLoss: "soft_margin", nn.MultiLabelSoftMarginLoss: "multilabel_soft_margin",
    nn.MultiLabelMarginLoss: "multilabel_margin", nn.MultiMarginLoss: "multi_margin",
    nn.HingeEmbeddingLoss: "hinge_embedding",
}  # fmt: skip
_LOSS_FUNCTIONS: Mapping[Any, str] = {
    **{function: name for name, function in LOSSES.items()},
    **{F.cross_entropy: "cross_entropy", F.kl_div: "kl_div", F.gaussian_nll_loss: "gaussian_nll"},
}


def problem_from_module(module: nn.Module, x: Any, target: Any, loss_fn: Any, as_: As | None = None) -> ref.Problem:
    """A user's own module and loss as a problem; every array is copied out, what is bfloat16 into float32.

    Args:
        module: a `torch.nn.Sequential` (or several nested) of Linear layers, each with at most one activation
            after it, or a bare Linear. Identity, a Flatten that leaves 2 dimensions alone and a Dropout that
            drops nothing are passed over.
        x: the batch, a tensor or array (N, I).
        target: what loss_fn compares the output with, a tensor or array.
        loss_fn: a loss module of torch.nn, with its parameters; a function of torch.nn.functional, with its
            defaults; or any callable (output, target) ↦ scalar tensor. The oracle cannot evaluate one of the
            last kind, so the problem's loss is then Σ c·y with c = ∂loss/∂output, which torch.autograd finds
            and which is taken as given (the loss `inner_product`): it has the gradients of the user's loss, but
            not its value, and checks the network's derivatives, not the loss's own.
        as_: which row a module of the user's own computes, by its type or by its name in `module.named_modules()`:
            a `ref.Activation` or its name, or "linear" for one with weight (O, I) and bias. It is taken at its word;
            the gradients that are judged remain the module's own.

    Raises:
        TypeError: a layer that the oracle cannot take (the message names it and its place), a number type
            that NumPy lacks, arrays of different types, an `as_` that names neither.
        ValueError: an activation with no layer of its own, shared weights, a module that is random in
            training mode, a reduction or a loss that is no problem's, shapes or targets that do not fit.

    >>> module = nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU(0.2), nn.Linear(4, 2))
    >>> problem = problem_from_module(module, torch.zeros(5, 3), torch.tensor([0, 1, 1, 0, 1]), nn.CrossEntropyLoss())
    >>> [layer.activation.name for layer in problem.mlp.layers], problem.loss.name, problem.dtype
    (['leaky_relu', 'identity'], 'cross_entropy', dtype('float32'))
    """
    mlp = ref.MLP(
        tuple(
            ref.Layer(
                _plain(f"{place}.weight", m.weight), None if m.bias is None else _plain(f"{place}.bias", m.bias), row
            )
            for place, m, row in layers_of(module, as_)
        )
    )
    known = known_loss(loss_fn)
    if known is None:
        cotangent = _cotangent(module, x, target, loss_fn)
        return ref.Problem(mlp, _plain("x", x), cotangent, "inner_product")
    row, reduction = known
    return ref.Problem(mlp, _plain("x", x), _plain("target", target), row, reduction)


def module_gradients(module: nn.Module, x: Any, target: Any, loss_fn: Any, as_: As | None = None) -> ref.Gradients:
    """The gradients that torch.autograd makes of exactly this module and loss; `.grad` stays as it is.

    Arguments and errors as for `problem_from_module`.

    Returns:
        A tree like that problem's: zeros for a parameter that the loss does not depend on, None for one with
        requires_grad False; its loss is None if the loss is the user's own (see `problem_from_module`).

    >>> module = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU())
    >>> module[0].weight.data = torch.tensor([[1.0, 2.0]])
    >>> g = module_gradients(module, torch.tensor([[3.0, 4.0]]), torch.tensor([[10.0]]), nn.MSELoss())
    >>> g.loss, g.layers[0].weight, g.input
    (np.float32(1.0), array([[6., 8.]], dtype=float32), array([[2., 4.]], dtype=float32))
    """
    leaves = [(m.weight, m.bias) for _, m, _ in layers_of(module, as_)]
    known = known_loss(loss_fn)
    with torch.inference_mode(False), torch.enable_grad():
        given, t = _given("x", x, leaves[0][0]).requires_grad_(), _given("target", target, leaves[0][0])
        found = differentiate(scalar(loss_fn(module(given), t)), leaves, given)
    return ref.Gradients(found.layers, found.input, None if known is None else found.loss)


def _cotangent(module: nn.Module, x: Any, target: Any, loss_fn: Any) -> Array:
    """∂loss/∂output (N, K), by torch.autograd."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    like = next(module.parameters())
    with torch.inference_mode(False), torch.enable_grad():
        y = module(_given("x", x, like)).detach().requires_grad_()
        loss = scalar(loss_fn(y, _given("target", target, like)))
        if not loss.requires_grad:
            raise ValueError("loss_fn: its result does not depend on the output, as far as torch.autograd can see")
        found, *direct = torch.autograd.grad(loss, [y, *parameters], allow_unused=True)
    if any(d is not None for d in direct):
        raise ValueError(
            "loss_fn: it uses the module's parameters; the oracle takes a loss of the output and target alone"
        )
    return array(torch.zeros_like(y) if found is None else found)


def scalar(loss: Any) -> Tensor:
    """The loss, which must be a tensor of shape ()."""
    if not isinstance(loss, Tensor) or loss.ndim:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"loss_fn: expected a scalar tensor, got {got}")
    return loss


def _given(name: str, values: Any, like: Tensor) -> Tensor:
    """A tensor on the module's device that shares no graph with the caller's."""
    copy = values.detach().clone() if isinstance(values, Tensor) else tensor(_plain(name, values))
    if name == "x" and copy.dtype != like.dtype:
        raise TypeError(f"x: expected {_name(like.dtype)} like the module, got {_name(copy.dtype)}")
    return copy.to(like.device)


def number_type(module: nn.Module) -> str:
    """The name of the type that a module's weights are stored in, as "float32" or "bfloat16".

    Errors as for `problem_from_module`.

    >>> number_type(nn.Linear(2, 1).bfloat16())
    'bfloat16'
    """
    return _name(next(module.parameters()).dtype)


def _name(number: torch.dtype) -> str:
    return str(number).removeprefix("torch.")


def _plain(name: str, values: Any) -> Array:
    """A NumPy copy of a tensor, bfloat16 as float32; anything else as it is, for `ref.Problem` to judge."""
    if not isinstance(values, Tensor):
        return values
    if values.is_floating_point() and values.dtype not in (*NUMBERS.values(), torch.bfloat16):
        raise TypeError(f"{name}: NumPy has no {values.dtype}; convert it with .float() or .double()")
    return np.asarray(array(values))


def known_loss(loss_fn: Any) -> tuple[ref.Loss, str] | None:
    """The row and the reduction of a loss of torch's; None for any other callable."""
    if not callable(loss_fn):
        raise TypeError(
            f"loss_fn: expected a torch.nn loss, a function of torch.nn.functional or a callable, got {loss_fn!r}"
        )
    kind = kind_of(loss_fn, tuple(_LOSS_MODULES))
    if kind is not None:
        name, reduction = _LOSS_MODULES[kind], loss_fn.reduction
        parameters = {p: _plain(p, getattr(loss_fn, p, None)) for p in ref.LOSSES[name].parameters}
    elif getattr(loss_fn, "__hash__", None) and loss_fn in _LOSS_FUNCTIONS:
        name, reduction, parameters = _LOSS_FUNCTIONS[loss_fn], "mean", {}
    else:
        return None
    where = f"loss_fn ({loss_fn.__name__ if kind is None else type(loss_fn).__name__})"
    if name == "gaussian_nll":
        raise ValueError(f"{where}: takes a variance besides output and target; wrap it: lambda y, t: loss(y, t, var)")
    if name == "kl_div" and reduction == "batchmean":
        per_example = changed(ref.losses.kl_div(**parameters), divisor=lambda y, t: int(y.shape[0]))
        return per_example, "mean"
    if reduction not in ("mean", "sum"):
        raise ValueError(f'{where}: reduction must be "mean" or "sum", got {reduction!r}; or wrap it: lambda y, t: …')
    return getattr(ref.losses, name)(**parameters), reduction
