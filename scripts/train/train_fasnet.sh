#!/usr/bin/env bash
# Train FaSNet-TAC with one of the losses; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"

help() {
  cat <<'EOF'
Usage: train_fasnet.sh [options] TAG LOSS CLUSTER GPUS WALLTIME [N_FFT] [HOP] [SCALE] [BINS] [WEIGHTING]
                       [-- options of egs/TAC/train.py]

  TAG        name of the experiment; everything goes to experiments/TAG
  LOSS       neg_sisdr (SCALE x WEIGHTING) or xp1 (plain SI-SDR)
  CLUSTER    where: local, auto, or a profile's name
  GPUS       number of GPUs of each machine; 0: CPU
  WALLTIME   hours, or H:MM:SS (for schedulers; not used locally)
  N_FFT      FFT size of the loss (1024)           SCALE      linear, mel or critical (mel)
  HOP        its hop (256)                         BINS       number of bands (18)
  WEIGHTING  weighting of the bands (None)

EOF
  train_options_help
  echo 'Example: bash scripts/train/train_fasnet.sh XP1 neg_sisdr local 0 1 1024 256 mel 18 speech_norm'
}

read_train_options "$@"
n=${#positional[@]}
((n >= 5 && n <= 10)) || usage_error "5 to 10 arguments are needed; got $n"
set -- "${positional[@]}"
train egs/TAC/train.py "$1" "$3" "$4" "$5" --loss "$2" --n_fft "${6:-1024}" --hop_length "${7:-256}" \
  --scale "${8:-mel}" --n_bins "${9:-18}" --weights_type "${10:-None}"
