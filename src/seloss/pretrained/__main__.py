"""List the networks of the package, show the card of one, or exchange one with a hub.

seloss models
seloss models NAME
seloss models push NAME|FILE OWNER/NAME
seloss models pull OWNER/NAME -o FILE
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from seloss.program import run_command

from .catalogue import load_model, model_card, model_names
from .hub import pull_model, push_model

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


def _push_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seloss models push", description=(push_model.__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("model", help="name, or a .safetensors file with its card beside it")
    add("repository", metavar="OWNER/NAME", help="made if it is not there")
    add("--private", action="store_true", help="make it so that only its owner sees it")
    add("--licence", help="of the weights, as the hub abbreviates it (ours: mit)")
    return parser


def _pull_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seloss models pull", description=(pull_model.__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("repository", metavar="OWNER/NAME")
    add("-o", "--output", metavar="FILE", help="default: NAME.safetensors; the card goes beside it")
    add("--revision", help="branch, tag or commit (default: the newest)")
    return parser


def _list_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seloss models",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", help="show the card of this one")
    return parser


def _push(args: argparse.Namespace) -> None:
    print(push_model(args.model, args.repository, private=args.private, licence=args.licence))


def _pull(args: argparse.Namespace) -> None:
    path = pull_model(args.repository, args.output, revision=args.revision)
    print(f"{path}: seloss enhance --model {path} takes it")


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table or a card, push or pull; return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["push"]:
        return run_command(_push_options(), _push, arguments[1:])
    if arguments[:1] == ["pull"]:
        return run_command(_pull_options(), _pull, arguments[1:])
    return run_command(
        _list_options(),
        lambda args: print(model_card(args.model) if args.model else describe()),
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
