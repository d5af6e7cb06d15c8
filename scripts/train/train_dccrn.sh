#!/usr/bin/env bash
# Train DCCRN by a loss or a sum of losses; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"

help() {
  cat <<'EOF'
Usage: train_dccrn.sh [options] TAG LOSS CLUSTER GPUS WALLTIME [-- options of egs/DCCRN/train.py]

  TAG        name of the experiment; everything goes to experiments/TAG
  LOSS       a name in configs/losses (si_snr_lms), a loss (pmsqe), a sum (si_snr+0.5*lms), a file
             of losses (my.yml), or one's own (my_losses.py:MyLoss)
  CLUSTER    where: local, auto, or a profile's name
  GPUS       number of GPUs of each machine; 0: CPU
  WALLTIME   hours, or H:MM:SS (for schedulers; not used locally)

The manifests below may be arrays; those of the default are made by egs/DCCRN/local/prepare.py.

EOF
  train_options_help | sed 's#data/mini_mixtures/{train,valid}.json#data/dccrn/{train,valid}.npy#'
  echo 'Example: bash scripts/train/train_dccrn.sh DCCRN_si_snr_lms si_snr_lms local 1 24'
}

read_train_options "$@"
((${#positional[@]} == 5)) || usage_error "5 arguments are needed; got ${#positional[@]}"
for part in train valid; do
  given=${part}_json variable=SELOSS_${part^^}_JSON
  if [[ -z ${!given} && -z ${!variable:-} ]]; then
    printf -v "$given" '%s' "$PROJECT_ROOT/data/dccrn/$part.npy"
    [[ -f ${!given} ]] || fail "no ${!given}: egs/DCCRN/local/prepare.py makes it; or give --$given"
  fi
done
set -- "${positional[@]}"
if [[ -f $PROJECT_ROOT/configs/losses/$2.yml ]]; then loss=(--loss_preset "$2"); else loss=(--loss "$2"); fi
train egs/DCCRN/train.py "$1" "$3" "$4" "$5" "${loss[@]}"
