#!/usr/bin/env bash
# Enhance a test set with a trained FaSNet-TAC and judge the result; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"
# shellcheck source=scripts/evaluate/stages.sh
source "$PROJECT_ROOT/scripts/evaluate/stages.sh"

help() {
  evaluate_help data/mini_mixtures/test.json
}

# The network of several microphones has a program of its own.
enhance() {
  local name=${3##*/}
  # shellcheck disable=SC2034 # evaluate reads it
  command=("$PROJECT_ROOT/egs/TAC/custom_inference.py" --experiment_tag "$1"
    --model_path "$2/best_model.pth" --input_json "$3" --output_dir "$2/${name%.*}" --device "$4")
}

evaluate scripts/train/train_fasnet.sh data/mini_mixtures/test.json \
  'scripts/data/prepare_mini.py and scripts/data/make_mixtures.py make it' "$@"
