"""API pages: the public names of the packages, room by room, from their docstrings."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOGGER = logging.getLogger(__name__)
FACES = (
    "reference", "reference.activations", "reference.losses", "reference.operations", "reference.optimizers",
    "torch_compare",
)  # fmt: skip
"""What hands on public names."""


def public(face: str) -> Mapping[str, Any]:
    """The public names of a face and what they are, without those that `reference` itself hands on."""
    module, shorter = import_module(face), import_module("reference")
    found = {name: getattr(module, name) for name in module.__all__ if not name.startswith("__")}
    return {
        name: value for name, value in found.items() if module is shorter or getattr(shorter, name, None) is not value
    }


def home(package: str, name: str, value: Any) -> str:
    """The module that defines it: a function's or class's own, else the one that assigns the name."""
    if isinstance(value, ModuleType):
        return value.__name__
    if inspect.isroutine(value) or inspect.isclass(value):
        return value.__module__
    assigned = re.compile(rf"^{name}\b.*=", re.MULTILINE)
    for module in sorted(sys.modules):
        found = module.startswith(f"{package}.") and getattr(sys.modules[module], name, None) is value
        if found and assigned.search(inspect.getsource(sys.modules[module])):
            return module
    raise ExtensionError(f"{package}: no module assigns {name}")


def directive(face: str, name: str, value: Any, where: str) -> list[str]:
    """The lines that document a name."""
    full = f"{face}.{name}"
    if inspect.isclass(value):
        return [f".. autoclass:: {full}", "   :members:", ""]
    if inspect.isroutine(value):
        return [f".. autofunction:: {full}", ""]
    if isinstance(value, ModuleType):
        members = [n for n, v in vars(value).items() if inspect.isroutine(v) and v.__module__ == value.__name__]
        listed = [n for n in members if not n.startswith("_")]
        return [line for n in listed for line in (f".. autofunction:: {value.__name__}.{n}", "")]
    said = ModuleAnalyzer.for_module(where).find_attr_docs().get(("", name), [])
    return [f".. py:data:: {name}", f"   :module: {face}", "", *(f"   {line}" for line in marked(said)), ""]


class PublicNames(SphinxDirective):
    """``{public-names} FACE [ROOM]``: documents the face's names, or those whose home is in one of its rooms."""

    required_arguments, optional_arguments = 1, 1

    def run(self) -> list[nodes.Node]:
        """The nodes of all names, module by module, in alphabetical order within each."""
        face, *room = self.arguments
        package = face.partition(".")[0]
        homes: dict[str, list[str]] = {}
        for name, value in public(face).items():
            where = home(package, name, value)
            if where in FACES:
                continue  # a room, which has a page of its own
            if not room or where.startswith((f"{face}.{room[0]}.", f"{room[0]}.")):
                homes.setdefault(where, []).extend(directive(face, name, value, where))
        if not homes:
            raise self.error(f"{face} has no public names in {' '.join(room)}")
        lines = ["````{eval-rst}"]
        for where, said in homes.items():
            lines += [f".. rubric:: {where.partition('.')[2].replace('.', ' · ')}", "", *said]
        container = nodes.container(classes=["public-names"])
        self.state.nested_parse([*lines, "````"], self.content_offset, container)
        return container.children


# ── docstrings as reStructuredText ───────────────────────────────────────────────────────────────────


def marked(lines: Iterable[str]) -> list[str]:
    r"""Docstrings mark code with one backtick and nothing else: the rest is escaped.

    >>> print(*marked(["* |a| of `f(*x)` and x_", "*inputs: ``a``"]), sep="\n")
    * \|a\| of ``f(*x)`` and x\_
    \*inputs: ``a``
    >>> marked([">>> f(*x)"])
    ['>>> f(*x)']
    """
    made, example = [], False
    for line in lines:
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        made.append(line if example else _escaped(line))
    return made


def _escaped(line: str) -> str:
    bullet = re.match(r"\s*[*-] ", line)
    start = bullet[0] if bullet else ""
    parts = re.split(r"(``.*?``|`[^`]*`)", line[len(start) :])
    return start + "".join(
        (part if part.startswith("``") else f"`{part}`") if i % 2 else re.sub(r"(\*|\||_\b|_$)", r"\\\1", part)
        for i, part in enumerate(parts)
    )


def mark(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape a docstring before its sections are read."""
    lines[:] = marked(lines)
    if what in {"attribute", "data", "property"}:
        lines[:0] = ["..", ""]  # or else what stands before a colon in the first line would be taken for its type


def readable(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """A dataclass's signature without what cannot be read as Python: a default that is made anew."""
    return signature and signature.replace("<factory>", "..."), returned


def complete(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public names that the site leaves out."""
    documented = env.get_domain("py").objects  # type: ignore[attr-defined]
    for face in FACES:
        for name, value in public(face).items():
            if not isinstance(value, ModuleType) and f"{face}.{name}" not in documented:
                LOGGER.warning("%s.%s is public, and on no page of the site", face, name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive and the check."""
    app.add_directive("public-names", PublicNames)
    app.connect("autodoc-process-docstring", mark, priority=400)
    app.connect("autodoc-process-signature", readable)
    app.connect("env-check-consistency", complete)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
