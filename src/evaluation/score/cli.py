"""Score enhanced utterances: values of each sample, means, means of groups, failures.

    python -m evaluation.utt_eval --experiment_tag XP1
    python -m evaluation.utt_eval --estimates other_net/ --input_json data/test.json
    python -m evaluation.utt_eval --estimates other_net/ --targets clean/ --mixtures noisy/

reads the samples of an experiment, <root>/<tag>/<testset>/sample_*/, or any other system's folder
of audio, paired by name with a manifest or with folders of clean speech, noise and mixtures. Writes
in <root>/<tag>/<testset>/metrics/, or in <estimates>_results/metrics/:

    metrics_by_sample.csv        a row per sample: published columns, then others; empty where
                                 undefined; Delta_ columns are the improvement over the mixture
    metrics.csv                  a row per metric: mean, deviation, how many were scored
    metrics_by_<group>.csv       the same within groups: snr_db, noise_type, seen, speaker, if they
                                 are in the manifest, and noise_type_snr_db with a plot
    failures.csv                 a row per value that is not defined, with the reason

Whole utterances are scored, by PESQ too. A file of several channels is scored by its first; the
binaural metrics (mbstoi, ild_error, itd_error) need two, left ear first: a file of two channels, or
for references the manifest's microphones (--ears). Finished samples are kept in a ledger: a killed
run resumes, and a second run computes only samples whose audio changed and metrics not requested
before. A run in which nothing can be scored leaves earlier tables unchanged. The outcome for
silent, short, clipped or broken files is in src/evaluation/README.md.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

from auditus import METRICS, PUBLISHED, get_metrics
from auditus.ratios import VARIANTS
from evaluation.testset.options import add_system_options, systems_of
from evaluation.testset.testset import TestSet
from evaluation.work.cli import available_cpus, natural_int, program
from evaluation.work.shards import add_shard_option

from .scoring import Scoring, score_shard, score_testset

__all__ = ["main"]

logger = logging.getLogger(__name__)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_system_options(parser)
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=[*METRICS.names(), "published", "all"],
        metavar="NAME",
        help=f"default: published, that is {' '.join(PUBLISHED)}, as far as there are references; "
        f"or any of {', '.join(METRICS.names())}, all",
    )
    parser.add_argument(
        "--variant",
        choices=VARIANTS,
        default=VARIANTS[0],
        help="published: SI and FW ratios as the original computed them (default: %(default)s)",
    )
    parser.add_argument(
        "--snr_edges",
        type=float,
        nargs="+",
        metavar="DB",
        help="edges of the SNR classes (default: a class per SNR, or classes of 5 dB where SNRs "
        "are drawn from a range)",
    )
    parser.add_argument(
        "--cut_to_shortest",
        action="store_true",
        help="cut a sample's signals to the shortest one (default: no score if lengths differ)",
    )
    parser.add_argument(
        "--jobs",
        type=natural_int,
        default=available_cpus(),
        help="processes; 0: this one only, which a crash would end (default: %(default)s)",
    )
    add_shard_option(parser)


def _names(requested: Sequence[str] | None, testset: TestSet) -> list[str]:
    """Return the metrics to compute; by default those published that the references allow."""
    if requested is None:
        signals = testset.signals().values()
        available = {name for files in signals for name in files}
        roles = {"speech": "target", "noise": "noise"}
        missing = {role for name, role in roles.items() if name not in available}
        names = [
            metric.name for metric in get_metrics(PUBLISHED) if not missing & set(metric.needs)
        ]
        if not signals:
            raise FileNotFoundError(
                f"{testset.folder} holds no samples: run evaluation.infer first"
            )
        if not names:
            raise ValueError(
                "no published metric works without references: request --metrics dnsmos_ovrl, "
                "another dnsmos_* or distillmos"
            )
        if len(names) < len(PUBLISHED):
            left = ", ".join(name for name in PUBLISHED if name not in names)
            logger.info("not computed without %s: %s", " and ".join(sorted(missing)), left)
        return names
    chosen: list[str] = []
    for name in requested:
        chosen += {"all": METRICS.names(), "published": list(PUBLISHED)}.get(name, [name])
    return list(dict.fromkeys(chosen))


def _work(args: argparse.Namespace) -> int:
    scored = 0
    testsets = systems_of(args)
    for testset in testsets:
        scoring = Scoring(
            get_metrics(_names(args.metrics, testset)),
            args.variant,
            args.cut_to_shortest,
            tuple(args.snr_edges) if args.snr_edges else None,
        )
        if args.shard is not None:
            scored += score_shard(testset, scoring, args.shard, jobs=args.jobs)
            continue
        means = score_testset(testset, scoring, jobs=args.jobs)
        scored += int(means["Scored"].sum())
        shown = means[["Metric", "Mean", "Std", "Unit", "Scored", "Failed"]]
        print(testset.title)
        print(shown.to_string(index=False, float_format="%.3f"))
    if not scored and args.shard is None:  # a part may be empty
        folders = ", ".join(str(testset.metrics) for testset in testsets)
        raise RuntimeError(f"no sample could be scored: see failures.csv in {folders}")
    return 0


main = program("utt_eval", __doc__, _add_options, _work)
