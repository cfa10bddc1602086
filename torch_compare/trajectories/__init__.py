"""Optimisers beside torch.optim's, step by step."""
