"""The statuses that a verdict may have, each with its text."""

from __future__ import annotations

from enum import StrEnum


class Word(StrEnum):
    """A word of a fixed list: it prints, compares, hashes and is written to JSON as its text.

    >>> class Answer(Word):
    ...     YES = "yes"
    >>> Answer.YES, str(Answer.YES), Answer.YES == "yes"
    ('yes', 'yes', True)
    """

    def __repr__(self) -> str:
        return repr(self.value)


class Status(Word):
    """How gradients stand to the right ones; `verdict` says when each is given."""

    AGREES = "agrees"
    IMPRECISE = "imprecise"
    ANOTHER_CONVENTION = "another convention"
    WRONG = "wrong"
    UNRESOLVED = "unresolved"
