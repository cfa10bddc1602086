"""What no gradient exceeds."""
