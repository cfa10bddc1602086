"""The layers of a torch.nn.Sequential: each Linear with the row of the activation after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

import reference as ref

Row = ref.Activation
As: TypeAlias = Mapping[type[nn.Module] | str, str | ref.Activation]
"""Rows that modules of the user's own compute, by type or by name in `named_modules()`."""
_BY_HAND = "build the layers by hand (ref.Layer, ref.MLP, ref.Problem) and give your gradients to tc.check"
_EVAL = "call module.eval() first, or leave it out"

_MODULES: Mapping[type[nn.Module], str] = {
    nn.ReLU: "relu", nn.ReLU6: "relu6", nn.LeakyReLU: "leaky_relu", nn.RReLU: "rrelu", nn.ELU: "elu", nn.CELU: "celu",
    nn.SELU: "selu", nn.GELU: "gelu", nn.Sigmoid: "sigmoid", nn.LogSigmoid: "logsigmoid", nn.SiLU: "silu",
    nn.Hardsigmoid: "hardsigmoid", nn.Hardswish: "hardswish", nn.Mish: "mish", nn.Softplus: "softplus",
    nn.Softsign: "softsign", nn.Tanh: "tanh", nn.Tanhshrink: "tanhshrink", nn.Hardtanh: "hardtanh",
    nn.Hardshrink: "hardshrink", nn.Softshrink: "softshrink", nn.Threshold: "threshold", nn.Softmax: "softmax",
    nn.LogSoftmax: "log_softmax", nn.Softmin: "softmin", nn.GLU: "glu",
}  # fmt: skip
"""The row of an activation module; its attributes have the names of the row's parameters."""
_CONTAINERS = (nn.Sequential, nn.Linear, nn.Flatten, nn.Identity, nn.Dropout, nn.AlphaDropout)


def layers_of(module: Any, as_: As | None = None) -> list[tuple[str, Any, Row]]:
    """Each Linear with its place and the activation after it; see `modules.problem_from_module` for the errors."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"module: expected a torch.nn.Module, got {type(module).__name__}")
    found: list[tuple[str, Any, Row | None]] = []
    seen: dict[int, str] = {}
    said = _said(module, as_ or {})
    for place, part, kind in _flat("module", module, said):
        where = f"{place} ({type(part).__name__})"
        if kind is nn.Linear:
            for parameter in part.parameters(recurse=False):
                if seen.setdefault(id(parameter), place) != place:
                    raise ValueError(
                        f"{where}: shares its weights with {seen[id(parameter)]}; the oracle's layers do not. Give "
                        "each a copy of its own: the gradient of the shared one is the sum of theirs"
                    )
            found.append((place, part, None))
        elif isinstance(kind, ref.Activation) or kind in _MODULES:
            if not found or found[-1][2] is not None:
                before = "before the first Linear" if not found else f"after another ({found[-1][2].name})"  # type: ignore[union-attr]
                raise ValueError(
                    f"{where}: an activation {before} belongs to no layer; the oracle takes one per Linear. "
                    f"{_BY_HAND}, with weight I and no bias where a Linear is missing"
                )
            found[-1] = (
                *found[-1][:2],
                kind if isinstance(kind, ref.Activation) else _row(where, part, _MODULES[kind]),
            )
        elif isinstance(part, nn.Dropout | nn.AlphaDropout) and part.training and part.p > 0:
            raise ValueError(f"{where}: random in training mode; {_EVAL}")
        elif isinstance(part, nn.Flatten) and not {part.start_dim, part.end_dim} <= {1, -1}:
            raise TypeError(
                f"{where}: changes the shape of a batch (N, I); only start_dim=1, end_dim=-1 leaves it alone. "
                "Flatten x before, and leave it out"
            )
    if not found:
        raise ValueError(f"module: holds no Linear layer; {_BY_HAND}")
    return [(place, part, row or ref.ACTIVATIONS["identity"]) for place, part, row in found]


def is_chain(module: Any, x: Any) -> bool:
    """Whether a module on rows of features is one that `layers_of` takes."""
    if not isinstance(module, nn.Module) or getattr(x, "ndim", 2) != 2 or isinstance(x, tuple | Mapping):
        return False
    try:
        return bool(layers_of(module))
    except (TypeError, ValueError):
        return False


def _flat(place: str, module: nn.Module, said: Mapping[nn.Module, Any]) -> Iterator[tuple[str, nn.Module, Any]]:
    """Every module that is no Sequential, in order, with its place and the torch.nn class whose forward it runs.

    In place of the class stands the row that the caller says it computes, where one was said.
    """
    where = f"{place} ({type(module).__name__})"
    if module in said:
        yield place, module, said[module]
        return
    kind = kind_of(module, (*_MODULES, *_CONTAINERS))
    if kind is None:
        raise TypeError(f"{where}: {_instead(module)}")
    if any(getattr(module, f"_{which}") for which in _HOOKS) or is_parametrized(module):
        raise TypeError(
            f"{where}: has hooks or parametrizations, which the oracle cannot see through; remove them "
            f"(torch.nn.utils.parametrize.remove_parametrizations), or: {_BY_HAND}"
        )
    if not isinstance(module, nn.Sequential):
        yield place, module, kind
        return
    for index, child in enumerate(module):
        yield from _flat(f"{place}[{index}]", child, said)


def _instead(module: nn.Module) -> str:
    """Why a module is none that the oracle can take, and what to do about it."""
    name = type(module).__name__
    if next(module.children(), None) is not None:
        return (
            "not a Sequential, and the oracle does not read its forward; give torch.nn.Sequential(…) of its layers, "
            f"which shares their weights; or {_BY_HAND}"
        )
    if isinstance(module, nn.PReLU) or not [*module.parameters(recurse=False)]:
        return (
            "not a layer that the oracle can take; if it computes a row of ref.ACTIVATIONS, say which: "
            f'as_={{{name}: "gelu"}}, '
            f"or as_={{{name}: ref.activations.leaky_relu(0.25)}}; if not: {_BY_HAND}"
        )
    return (
        "not a layer that the oracle can take: it has parameters, and those of Linear alone have a place in an MLP; if "
        f'it computes x Wᵀ + b with weight (O, I) and bias, say so: as_={{{name}: "linear"}}; if not, check the layers '
        f"behind it, with its output as x; or {_BY_HAND}"
    )


def _said(module: nn.Module, as_: As) -> dict[nn.Module, Any]:
    """The row, or Linear, that each module computes of which the caller says it."""
    named = dict(module.named_modules())
    found: dict[nn.Module, Any] = {}
    for key, value in as_.items():
        if isinstance(value, str) and value not in ref.ACTIVATIONS and value != "linear":
            raise ValueError(f'as_: expected "linear" or one of {", ".join(ref.ACTIVATIONS)}, got {value!r}')
        if not isinstance(value, str | ref.Activation):
            raise TypeError(f"as_: expected a ref.Activation or the name of one, got {type(value).__name__}")
        if isinstance(key, str):
            if key not in named:
                raise ValueError(f"as_: no module is named {key!r}; there are {', '.join(filter(None, named))}")
            meant = [named[key]]
        else:
            meant = [part for part in named.values() if type(part) is key]
            if not meant:
                raise ValueError(f"as_: there is no {getattr(key, '__name__', key)} in the module")
        for part in meant:
            if value == "linear" and not (hasattr(part, "weight") and hasattr(part, "bias")):
                raise TypeError(
                    f"as_: a linear layer has weight (O, I) and bias (O) or None; {type(part).__name__} has not"
                )
            found[part] = nn.Linear if value == "linear" else ref.activations.get(value)
    return found


def kind_of(module: Any, kinds: tuple[type[nn.Module], ...]) -> type[nn.Module] | None:
    """The class among `kinds` that the object is an instance of and whose forward it runs unchanged."""
    kind: Any = next((k for k in type(module).__mro__ if k in kinds), None)
    return kind if kind is not None and type(module).forward is kind.forward else None


_HOOKS = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")


def _row(where: str, module: Any, name: str) -> Row:
    """The row of an activation module, with the module's parameters."""
    if name == "rrelu" and module.training:
        raise ValueError(f"{where}: random in training mode; {_EVAL}")
    if getattr(module, "dim", None) not in (None, 1, -1):
        raise TypeError(f"{where}: acts along dim={module.dim}; the oracle's rows are examples, so dim must be 1 or -1")
    if name == "gelu" and module.approximate == "tanh":
        name = "gelu_tanh"
    return getattr(ref.activations, name)(**{p: getattr(module, p) for p in ref.ACTIVATIONS[name].parameters})
