"""Exit statuses of the command line."""

AGREES, DISAGREES, BAD_INPUT, UNRESOLVED = 0, 1, 2, 3
INTERRUPTED = 130
