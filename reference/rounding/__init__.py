"""How far a correct implementation may be off, and what is exactly right."""
