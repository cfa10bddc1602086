"""Published architectures and torch.nn's modules, judged and certified; see the README of this folder."""
