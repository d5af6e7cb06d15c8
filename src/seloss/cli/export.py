"""Write a trained network as a file for other programs than PyTorch.

    seloss export dccrn-small-causal                        # to dccrn-small-causal.onnx
    seloss export --frame dccrn-small-causal                # to dccrn-small-causal.frame.onnx
    seloss export experiments/XP1/best_model.pth -o xp1.onnx

The network takes whole signals of any length from a window up; the file says rate and latency in
its metadata, and is written only if onnxruntime gives the network's answer. seloss enhance --model
FILE.onnx takes it. With --frame it takes one frame (1, hop) and its state (n,), and returns the
enhanced frame, delay_samples old, and the next state; the first state is zeros.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from evaluation.enhance.network import load_network, n_inputs
from seloss.pretrained import DEFAULT
from seloss.pretrained.onnx_export import export_onnx
from seloss.program import run_command

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seloss export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", nargs="?", default=DEFAULT, help="name, .safetensors or checkpoint (%(default)s)")
    add("--format", choices=("onnx",), default="onnx", help="default: %(default)s")
    add("--frame", action="store_true", help="one frame of a stream with its state, see above")
    add("-o", "--output", type=Path, metavar="FILE", help="default: the network's name and format")
    add("--overwrite", action="store_true", help="write again what is there")
    return parser


def _work(args: argparse.Namespace) -> None:
    place = Path(args.model)
    # best_model.pth says nothing: its folder is the experiment's
    name = place.absolute().parent.name if place.stem == "best_model" else place.stem
    output = args.output or Path(f"{name}{'.frame' * args.frame}.{args.format}")
    if output.exists() and not args.overwrite:
        raise FileExistsError(f"{output} is there already (--overwrite makes it again)")
    network = load_network(args.model, torch.device("cpu"))
    if n_inputs(network) != 1:
        raise ValueError(
            f"only networks of one microphone are exported; {args.model} is a "
            f"{type(network).__name__}"
        )
    print(export_onnx(network, output, frame=args.frame))


def main(argv: list[str] | None = None) -> int:
    """Run the program; return its exit status."""
    return run_command(_parser, _work, argv)


if __name__ == "__main__":
    sys.exit(main())
