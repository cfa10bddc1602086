"""What loss and all gradients cost."""
