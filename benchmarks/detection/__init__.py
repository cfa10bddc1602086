"""Which checker catches which wrong gradients, and which right ones it calls wrong."""
