"""One script a question: ``python -m benchmarks NAME [--quick] [--json FILE] [--plot FILE] [--seed N]``."""
