"""Random problems."""
