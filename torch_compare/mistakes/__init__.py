"""Known ways of going wrong."""
