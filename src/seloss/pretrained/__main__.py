"""List the networks of the package, or show the card of one.

seloss models
seloss models NAME
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from seloss.program import run_command

from .catalogue import load_model, model_card, model_names

__all__ = ["describe"]


def describe() -> str:
    """Return a table of the networks: parameters, rate, latency."""
    rows = ["| model | parameters | rate (Hz) | latency (ms) |", "|---|---:|---:|---:|"]
    for name in model_names():
        network = load_model(name)
        count = sum(p.numel() for p in network.parameters())
        rate = float(getattr(network, "sample_rate", 0))
        latency = getattr(network, "latency_samples", None)
        shown = "-" if latency is None else f"{1000 * latency / rate:.0f}"
        rows.append(f"| {name} | {count:,} | {rate:.0f} | {shown} |")
    return "\n".join(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table or a card; return the exit status."""
    parser = argparse.ArgumentParser(prog="seloss.pretrained", description="networks to use")
    parser.add_argument("model", nargs="?", help="show the card of this one")
    return run_command(
        parser, lambda args: print(model_card(args.model) if args.model else describe()), argv
    )


if __name__ == "__main__":
    sys.exit(main())
