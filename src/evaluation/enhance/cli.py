"""One file in, one file out: enhance audio files of any length, rate and number of channels.

    seloss enhance in.wav -o out.wav                      # the network that comes with the package
    seloss enhance --model dccrn-small-causal in.wav -o out.wav        # seloss models lists them
    python -m evaluation.enhance --checkpoint best_model.pth in.wav -o out.wav
    python -m evaluation.enhance --experiment_tag XP1 recordings/ -o enhanced/
    python -m evaluation.enhance --experiment_tag XP1 --experiment_tag XP2 in.wav -o both/
    arecord -t raw -f S16_LE -r 16000 | seloss enhance - -o - | aplay -t raw -f S16_LE -r 16000
    seloss enhance --live                                 # microphone to loudspeaker

works with every network that `serialize()` saved, and with weights in safetensors. Files are
resampled to the network's rate and back (soxr). A single-channel network enhances every channel by
itself (or --channel N); one for several microphones takes them all and gives the reference
microphone (the first, or --channel N).
With several networks, or for a folder, -o is a folder: <network>/<path in the folder>.wav.

Long files go through in blocks with context, causal networks as a stream, in bounded memory: what
fits into one block (--block plus --context) is enhanced whole. Blocks of DCUnet and DCCRN, and the
stream of causal networks, give the answer of the whole file to rounding. FaSNet and Conv-TasNet
normalise over all they see: such a file takes two passes, of which the first gathers the
statistics of the whole, and differs from the whole answer by what lies beyond the context (a
trained FaSNet: 50 dB below with the default block and context, 35 dB with 5 and 1 s; a --block
longer than the file takes it whole, if the memory is enough). The level is that of the mixture: one
gain per file fits the estimate to the mixture's reference channel (--level network: none).
--attenuation_limit_db X lowers noise by no more than X dB, as hearing-aid users ask. Nothing is
clipped: where a result would not fit into whole numbers it is lowered, and a line says so. What the
output's format cannot hold is refused before any work, or converted, and a line says so. A file
that cannot be enhanced is named, the others are done, and the exit status is 1. What is there
already is left alone; --overwrite makes it again.

- is raw PCM (16 bit, little-endian, --pcm_rate, --pcm_channels) from standard input to standard
output, enhanced frame by frame as it arrives by a causal network, as --live does; latency and
real-time factor are said at the end. The level is the network's there.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from torch import nn
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from evaluation.testset.experiment import find_experiment
from evaluation.testset.options import add_experiment_options
from evaluation.work.cli import positive_int, program
from seloss.data.formats.audio import SUFFIXES
from seloss.data.formats.audio_files import UNREADABLE, find_audio
from seloss.pretrained import DEFAULT
from seloss.program import UsageError

from .audio import CONTAINERS, DEPTHS, container_of
from .live import add_live_options, enhance_arriving
from .network import load_network, pick_device
from .one_file import LEVELS, Settings, enhance_file

__all__ = ["main", "plan"]

logger = logging.getLogger(__name__)
_SHOWN = 5


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
        ValueError: two sources have one target, a target is a source, or its format cannot be
            written.
    """
    resolve = _resolver()
    inside_output = resolve(output) + os.sep
    sources: list[tuple[Path, Path]] = []
    for path in inputs:
        if path.is_dir():
            audio = find_audio(path, any_name=True)
            inside = [one for one in audio if not resolve(one).startswith(inside_output)]
            if not inside:
                raise FileNotFoundError(f"{path} holds no audio ({', '.join(sorted(SUFFIXES))})")
            sources += [(one, one.relative_to(path)) for one in inside]
        else:
            sources.append((path, Path(path.name)))
    single = len(sources) == 1 and not inputs[0].is_dir() and len(networks) == 1
    if _is_file_name(output, single):
        jobs = [(networks[0], sources[0][0], output)]
    else:
        jobs = []
        for name in networks:
            folder = output / name if len(networks) > 1 else output
            jobs += [
                (name, source, folder / inner.with_suffix(".wav")) for source, inner in sources
            ]
    owners: dict[str, Path] = {}
    taken = {resolve(path) for path, _ in sources}
    for _, source, target in jobs:
        place = resolve(target)
        if place in taken:
            raise ValueError(f"{target} is an input: name another output")
        if (other := owners.setdefault(place, source)) != source:
            raise ValueError(f"{other} and {source} would both become {target}")
    return jobs


def _is_file_name(output: Path, single: bool) -> bool:
    """Return whether an output is a file, and not the folder of several.

    Raises:
        ValueError: its suffix is a format's that cannot be written, or one file's for several.
    """
    suffix = output.suffix.lower()
    if output.is_dir() or not suffix:
        return False
    if not single and suffix in CONTAINERS:
        raise ValueError(f"{output} names one file; name a folder for several inputs or networks")
    if single or suffix in UNREADABLE:
        try:
            container_of(output)
        except ValueError as error:
            hint = "" if suffix in UNREADABLE else "; if it is to be a folder, make it first"
            raise ValueError(f"{error}{hint}") from None
    return single


def _resolver() -> Callable[[Path], str]:
    """Return `os.path.realpath` for many files of few folders: each folder is resolved once."""
    folder = lru_cache(maxsize=None)(os.path.realpath)

    def resolve(path: Path) -> str:
        parent, name = os.path.split(path)
        place = os.path.join(folder(parent), name)
        return os.path.realpath(place) if os.path.islink(place) else place

    return resolve


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
    there = [] if overwrite else [job for job in jobs if os.path.exists(job[2])]
    if there:
        names = ", ".join(str(target) for _, _, target in there[:_SHOWN])
        more = ", ..." if len(there) > _SHOWN else ""
        again = "--overwrite makes them again"
        logger.info("%d files are there already (%s): %s%s", len(there), again, names, more)
    finished = {target for _, _, target in there}
    todo = [job for job in jobs if job[2] not in finished]
    form = "{l_bar}{bar}| {n:.1f}/{total:.0f} files [{elapsed}<{remaining}]"
    with logging_redirect_tqdm(), tqdm(total=len(todo), bar_format=form, disable=None) as bar:
        for number, (name, source, target) in enumerate(todo, start=1):
            try:
                done = enhance_file(networks[name], source, target, settings, bar.update)
            except (OSError, ValueError, RuntimeError) as error:
                failures.append(f"{source}: {error}")
                logger.error("%s: %s", source, error)
                continue
            finally:
                bar.update(number - bar.n)
            factor = done.took_s / done.clip.seconds
            logger.info(
                "%s -> %s: %.1f s of audio in %.1f s, real-time factor %.3f, gain %+.1f dB%s",
                *(source, target, done.clip.seconds, done.took_s, factor, done.gain_db),
                "".join(f"; {note}" for note in done.notes),
            )
    return failures


def _seconds_option(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e6:
        raise ValueError(text)
    return value


def _positive_db(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 200:
        raise ValueError(text)
    return value


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("inputs", nargs="*", type=Path, metavar="INPUT", help="audio files, folders of them; or -")
    add("-o", "--output", type=Path, metavar="PATH", help="file or folder; or -")
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
    add("--attenuation_limit_db", type=_positive_db, metavar="X", help="see above (default: none)")
    add("--depth", choices=tuple(DEPTHS), help="bits per sample (default: the input's)")
    add("--channel", type=positive_int, metavar="N", help="from 1 on; see above")
    add("--block", type=_seconds_option, default=20.0, metavar="S", help="seconds at a time")
    add("--context", type=_seconds_option, default=2.0, metavar="S", help="on either side")
    add("--overwrite", action="store_true", help="make again what is there")
    add("--device", default="auto", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    add_live_options(parser)
    add_experiment_options(parser)


def _arrives(args: argparse.Namespace) -> bool:
    """Whether the signal comes from a pipe or a microphone, not from files.

    Raises:
        UsageError: Inputs and output do not go together.
    """
    names = [str(path) for path in (*args.inputs, *([args.output] if args.output else []))]
    if args.live and names:
        raise UsageError(f"--live takes no files; got {', '.join(names)}")
    if not args.live and not (args.inputs and args.output):
        raise UsageError("name what to enhance and -o PATH; or --live")
    if "-" in names and names != ["-", "-"]:
        raise UsageError("'-' stands for standard input and output together: seloss enhance - -o -")
    return args.live or "-" in names


def _work(args: argparse.Namespace) -> int:
    if args.context > args.block:
        raise ValueError(f"--context {args.context:g} must not exceed --block {args.block:g}")
    arrives = _arrives(args)
    paths = _checkpoints(args)
    if arrives:
        if len(paths) > 1:
            raise UsageError(f"one network enhances what arrives; got {', '.join(paths)}")
        enhance_arriving(load_network(next(iter(paths.values())), pick_device("cpu")), args)
        return 0
    jobs = plan(args.inputs, args.output, list(paths))
    device = pick_device(args.device)
    networks = {name: load_network(place, device) for name, place in paths.items()}
    settings = Settings(
        *(args.level, args.depth, args.channel, args.block, args.context),
        args.attenuation_limit_db,
    )
    failures = _enhance_all(jobs, networks, settings, overwrite=args.overwrite)
    if failures:
        listed = "; ".join(failures[:10])
        raise RuntimeError(f"{len(failures)} of {len(jobs)} files not enhanced: {listed}")
    return 0


main = program("enhance", __doc__, _add_options, _work)
