#!/usr/bin/env bash
# Submit the evaluation of a trained network to a cluster by evaluate_fasnet.sh; see --help.
set -euo pipefail
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/evaluate_job.sh" fasnet data/mini_mixtures/test.json "$@"
