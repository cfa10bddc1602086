"""What a check catches."""
