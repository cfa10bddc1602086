"""How exact the gradients are."""
