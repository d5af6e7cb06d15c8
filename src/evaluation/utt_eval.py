"""``python -m evaluation.utt_eval``: see ``evaluation.score.cli``."""

if __name__ == "__main__":  # importing takes seconds: the workers' beside this process's own
    from evaluation.work.parallel import prepare_workers

    prepare_workers("evaluation.score.sample", "pesq", "pystoi")

from evaluation.score.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
