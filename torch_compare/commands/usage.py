"""A parser of arguments whose errors say what was likely meant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import NoReturn

from reference.arithmetic.names import meant


class Parser(argparse.ArgumentParser):
    """As argparse's, and an unknown option, command or choice is answered by the nearest there is."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2, and say what was wrong and what was likely meant."""
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        unknown = re.search(r"unrecognized arguments: (?:.* )?(--[\w-]+)", message)
        if choice is not None:
            message += meant(choice[1], re.findall(r"[\w-]+", choice[2]))
        elif unknown is not None:
            message += meant(unknown[1], sorted(set(_options(self))))
        super().error(message)


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every option of a parser and of its commands."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _options(command)
