#!/usr/bin/env bash
# Submit the evaluation of a trained network to a cluster by evaluate_dccrn.sh; see --help.
set -euo pipefail
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/evaluate_job.sh" dccrn data/dccrn/test.npy "$@"
