"""Planting faults in a source, so that a test can show that it would see them."""

from __future__ import annotations

import inspect
import types


def with_source_changed(module: types.ModuleType, old: str, new: str) -> types.ModuleType:
    """The module with one piece of its source replaced: it must stand there exactly once."""
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {module.__name__}"
    made = types.ModuleType(module.__name__)
    made.__package__ = module.__package__
    exec(compile(source.replace(old, new), f"{module.__name__} with {new!r}", "exec"), made.__dict__)
    return made
