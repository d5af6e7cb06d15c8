"""Speed and memory, ours against a named reference in one process; ``python -m benchmarks``."""
