#!/usr/bin/env bash
# Train CNUNet: one of its two stages, or without either; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"

help() {
  cat <<'EOF'
Usage: train_cnunet.sh [options] TAG STAGE CLUSTER GPUS WALLTIME [-- options of egs/CNUNet/train.py]

  TAG        name of the experiment; everything goes to experiments/TAG
  STAGE      0: without embeddings; 1: with embeddings of a pretrained model; 2: drawn to the
             latents that egs/CNUNet/store.py has stored
  CLUSTER    where: local, auto, or a profile's name
  GPUS       number of GPUs of each machine; 0: CPU
  WALLTIME   hours, or H:MM:SS (for schedulers; not used locally)

egs/CNUNet/run_.sh runs both stages and what lies between them.

EOF
  train_options_help
  echo 'Example: bash scripts/train/train_cnunet.sh CNUNet_plain 0 local 1 24'
}

read_train_options "$@"
((${#positional[@]} == 5)) || usage_error "5 arguments are needed; got ${#positional[@]}"
set -- "${positional[@]}"
[[ $2 =~ ^[0-2]$ ]] || usage_error "STAGE must be 0, 1 or 2; got '$2'"
train egs/CNUNet/train.py "$1" "$3" "$4" "$5" --stage "$2"
