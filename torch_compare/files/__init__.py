"""What is read and written, all of it taken for hostile."""
