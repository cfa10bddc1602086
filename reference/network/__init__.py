"""Networks, problems, and their gradients by hand."""
