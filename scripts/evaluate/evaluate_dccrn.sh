#!/usr/bin/env bash
# Enhance a test set with a trained DCCRN and judge the result; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"
# shellcheck source=scripts/evaluate/stages.sh
source "$PROJECT_ROOT/scripts/evaluate/stages.sh"

help() {
  evaluate_help data/dccrn/test.npy
}

evaluate scripts/train/train_dccrn.sh data/dccrn/test.npy \
  'egs/DCCRN/local/prepare.py makes it' "$@"
