"""One script a question: ``python -m benchmarks [NAME …] [--quick | --full] [--seed N] [--results FOLDER]``."""
