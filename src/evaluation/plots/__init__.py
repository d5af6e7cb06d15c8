"""How figures look, and figures of several experiments."""
