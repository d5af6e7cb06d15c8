"""Store embeddings for stage 1, and the latents that a trained stage 1 gives, for all data.

Takes the options of train.py: --train_json and --valid_json name the data; --embedding.* the model
(for embeddings), --stage1 the experiment (for latents). What is stored already, from the same
network and audio, is kept; how large the rest will be is said first.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from two_stage import CnunetRecipe, embedding_data, latent_data, like_stage1

from evaluation.work.shards import Shard, add_shard_option
from seloss.program import run_program
from seloss.train import parse_recipe

WHAT = ("embeddings", "latents")


def _own_options(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return this program's own options and those of train.py."""
    parser = argparse.ArgumentParser(
        prog="store.py", usage=argparse.SUPPRESS, add_help=False, allow_abbrev=False
    )
    add = parser.add_argument_group("what to store").add_argument
    both = "embeddings, latents, or both (default); latents of a --shard need all embeddings"
    add("--what", choices=(*WHAT, "both"), default="both", help=both)
    add("--jobs", type=int, default=1, metavar="N", help="processes that share the work (1)")
    add_shard_option(parser)
    own, rest = parser.parse_known_args(argv)
    if {"-h", "--help"} & set(rest):
        parser.print_help()  # those of train.py follow
        print()
    if own.jobs < 1:
        parser.error(f"--jobs must be at least 1; got {own.jobs}")
    if own.jobs > 1 and own.shard:
        parser.error("--jobs shares the work among processes here; a --shard is one process's")
    return own, rest


def _share_out(what: str, jobs: int, argv: list[str]) -> None:
    """Let several processes of this program do the work.

    Raises:
        RuntimeError: One of them failed; what the others stored is kept.
    """
    command = [sys.executable, __file__, *argv, "--what", what, "--shard"]
    with ExitStack() as stack:
        parts = []
        for index in range(1, jobs + 1):
            part = stack.enter_context(subprocess.Popen([*command, f"{index}/{jobs}"]))
            stack.callback(part.terminate)  # does nothing to one that has ended
            parts.append(part)
        failed = [index for index, part in enumerate(parts, 1) if part.wait()]
    if failed:
        parts_named = ", ".join(f"{index}/{jobs}" for index in failed)
        raise RuntimeError(f"storing {what} failed in the parts {parts_named}: see above")


def _store(what: str, config: CnunetRecipe, shard: Shard) -> None:
    from seloss.data import open_dataset

    share = (shard.index - 1, shard.count)
    source: Any
    if what == "latents":
        source = latent_data(config, share)
    else:
        source = embedding_data(like_stage1(config) if config.latent.stage1 else config, share)
    data = config.data
    for path in (data.train_json, data.valid_json):
        options = {"sample_rate": data.sample_rate, "max_mics": data.max_mics}
        source.store(open_dataset(path, **options), path)


def main(argv: list[str]) -> None:
    """Store as the command line says; a run that was stopped is resumed."""
    own, rest = _own_options(argv)
    requested = WHAT if own.what == "both" else (own.what,)
    stage = "2" if "latents" in requested else "1"
    conf = Path(__file__).with_name("conf.yml")
    line = ["--stage", stage, *rest]
    parsed = parse_recipe(CnunetRecipe, line, prog="store.py", description=__doc__, defaults=conf)
    for what in requested:
        if own.jobs > 1:
            _share_out(what, own.jobs, rest)
        else:
            _store(what, parsed.config, own.shard or Shard())


if __name__ == "__main__":
    sys.exit(run_program(main))
