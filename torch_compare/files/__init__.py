"""Files: all that is read is taken for hostile."""
