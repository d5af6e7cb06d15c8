"""One file in, one file out: enhance audio files of any length, rate and number of channels.

    seloss enhance in.wav -o out.wav                      # the network that comes with the package
    seloss enhance --model dccrn-small-causal in.wav -o out.wav        # seloss models lists them
    python -m evaluation.enhance --checkpoint best_model.pth in.wav -o out.wav
    python -m evaluation.enhance --experiment_tag XP1 recordings/ -o enhanced/
    python -m evaluation.enhance --experiment_tag XP1 --experiment_tag XP2 in.wav -o both/

works with every network that `serialize()` saved, and with weights in safetensors. Files are
resampled to the network's rate and back (soxr). A single-channel network enhances every channel by
itself (or --channel N); one for several microphones takes them all and gives the reference
microphone (the first, or --channel N).
With several networks, or for a folder, -o is a folder: <network>/<path in the folder>.wav.

Long files go through in blocks with context, causal networks as a stream, in bounded memory: what
fits into one block (--block plus --context) is enhanced whole. Blocks of DCUnet and DCCRN, and the
stream of causal networks, give the answer of the whole file to rounding; FaSNet and Conv-TasNet
normalise over all they see, so that theirs differs a little (a trained FaSNet: 29 dB below). The
level is that of the mixture: one gain per file fits the estimate to the mixture's reference channel
(--level network: none). Nothing is clipped: where a result would not fit into whole numbers it is
lowered, and a line says so. A file that cannot be enhanced is named, the others are done, and the
exit status is 1. What is there already is left alone; --overwrite makes it again.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from evaluation.testset.experiment import find_experiment
from evaluation.testset.options import add_experiment_options
from evaluation.work.cli import positive_int
from seloss.data.formats.audio import SUFFIXES
from seloss.data.formats.audio_files import find_audio
from seloss.pretrained import DEFAULT
from seloss.program import run_command

from .audio import DEPTHS, open_clip
from .network import load_network, pick_device
from .one_file import LEVELS, Settings, enhance_file

__all__ = ["main", "plan"]

logger = logging.getLogger(__name__)


def plan(
    inputs: Sequence[Path], output: Path, networks: Sequence[str]
) -> list[tuple[str, Path, Path]]:
    """Say what is made of what: network, source, target.

    Args:
        inputs: files and folders; of a folder all audio in it and below.
        output: a file, for one file and one network; else a folder.
        networks: their names.

    Raises:
        FileNotFoundError: a folder holds no audio.
        ValueError: two sources have one target, or a target is a source.
    """
    found: list[tuple[Path, Path]] = []
    for path in inputs:
        if path.is_dir():
            inside = [one for one in find_audio(path) if output not in one.parents]
            if not inside:
                raise FileNotFoundError(f"{path} holds no audio ({', '.join(sorted(SUFFIXES))})")
            found += [(one, one.relative_to(path)) for one in inside]
        else:
            found.append((path, Path(path.name)))
    single = len(found) == 1 and not inputs[0].is_dir() and len(networks) == 1
    if single and output.suffix.lower() in SUFFIXES and not output.is_dir():
        jobs = [(networks[0], found[0][0], output)]
    else:
        jobs = []
        for name in networks:
            folder = output / name if len(networks) > 1 else output
            jobs += [(name, source, folder / inner.with_suffix(".wav")) for source, inner in found]
    owners: dict[Path, Path] = {}
    sources = {path.resolve() for path, _ in found}
    for _, source, target in jobs:
        if target.resolve() in sources:
            raise ValueError(f"{target} is an input: name another output")
        if (other := owners.setdefault(target, source)) != source:
            raise ValueError(f"{other} and {source} would both become {target}")
    return jobs


def _checkpoints(args: argparse.Namespace) -> dict[str, str | Path]:
    """Return the networks by name: a file, or the name of one that comes with the package.

    Raises:
        ValueError: two have one name.
    """
    found: list[tuple[str, str | Path]] = [
        (Path(model).stem if Path(model).is_file() else model, model) for model in args.model or ()
    ]
    for path in args.checkpoint or ():
        # best_model.pth says nothing: its folder is the experiment's
        name = path.stem if path.stem != "best_model" else path.absolute().parent.name
        found.append((name, path))
    tags = args.experiment_tag or ()
    found += [(tag, find_experiment(tag, args.root).checkpoint) for tag in tags]
    found = found or [(DEFAULT, DEFAULT)]
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two networks are called {twice!r}: rename a file, or run twice")
    return dict(found)


def _enhance_all(
    jobs: Sequence[tuple[str, Path, Path]],
    networks: Mapping[str, nn.Module],
    settings: Settings,
    *,
    overwrite: bool,
) -> list[str]:
    """Do the jobs, return a line for each that failed."""
    failures: list[str] = []
    todo = []
    for job in jobs:
        if job[2].exists() and not overwrite:
            logger.info("%s is there already (--overwrite makes it again)", job[2])
        else:
            todo.append(job)
    seconds = sum(_seconds(source) for _, source, _ in todo)
    form = "{l_bar}{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]"
    with logging_redirect_tqdm(), tqdm(total=seconds, bar_format=form, disable=None) as bar:
        for name, source, target in todo:
            try:
                done = enhance_file(networks[name], source, target, settings, bar.update)
            except (OSError, ValueError, RuntimeError) as error:
                failures.append(f"{source}: {error}")
                logger.error("%s: %s", source, error)
                continue
            factor = done.took_s / done.clip.seconds
            logger.info(
                "%s -> %s: %.1f s of audio in %.1f s, real-time factor %.3f, gain %+.1f dB%s",
                *(source, target, done.clip.seconds, done.took_s, factor, done.gain_db),
                "".join(f"; {note}" for note in done.notes),
            )
    return failures


def _seconds(path: Path) -> float:
    """Return a file's duration, 0 where it is not known: the file is refused in its turn."""
    try:
        return open_clip(path).seconds
    except (OSError, ValueError):
        return 0.0


def _seconds_option(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e6:
        raise ValueError(text)
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="enhance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="INPUT", help="audio files, folders of them")
    add("-o", "--output", required=True, type=Path, metavar="PATH", help="file or folder")
    add(
        "--model",
        action="append",
        metavar="NAME|FILE",
        help=f"a network of the package, or its weights (default: {DEFAULT}); may be repeated",
    )
    add(
        "--checkpoint",
        action="append",
        type=Path,
        metavar="FILE",
        help="or a network that serialize() saved; may be repeated",
    )
    add("--experiment_tag", action="append", metavar="TAG", help="or an experiment, for its best")
    add("--level", choices=LEVELS, default=LEVELS[0], help="default: %(default)s")
    add("--depth", choices=tuple(DEPTHS), help="bits per sample (default: the input's)")
    add("--channel", type=positive_int, metavar="N", help="from 1 on; see above")
    add("--block", type=_seconds_option, default=20.0, metavar="S", help="seconds at a time")
    add("--context", type=_seconds_option, default=2.0, metavar="S", help="on either side")
    add("--overwrite", action="store_true", help="make again what is there")
    add("--device", default="auto", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    add_experiment_options(parser)
    return parser


def _work(args: argparse.Namespace) -> int:
    if args.context > args.block:
        raise ValueError(f"--context {args.context:g} must not exceed --block {args.block:g}")
    paths = _checkpoints(args)
    jobs = plan(args.inputs, args.output, list(paths))
    device = pick_device(args.device)
    networks = {name: load_network(place, device) for name, place in paths.items()}
    settings = Settings(args.level, args.depth, args.channel, args.block, args.context)
    failures = _enhance_all(jobs, networks, settings, overwrite=args.overwrite)
    if failures:
        listed = "; ".join(failures[:10])
        raise RuntimeError(f"{len(failures)} of {len(jobs)} files not enhanced: {listed}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    return run_command(_parser, _work, argv)
