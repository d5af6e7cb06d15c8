#!/usr/bin/env bash
# Train a DCUnet; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"

help() {
  cat <<'EOT'
Usage: train_dcunet.sh [options] TAG NETWORK LOSS CLUSTER GPUS WALLTIME [MASK] [FORM]
                       [-- options of egs/DCUNet/train.py]

  TAG        name of the experiment; everything goes to experiments/TAG
  NETWORK    DCUnet-10, DCUnet-16, DCUnet-20 or Large-DCUnet-20
  LOSS       weighted_sdr, mse, mse_spectrum, sdr, or a sum such as weighted_sdr+0.1*pmsqe
  CLUSTER    where: local, auto, or a profile's name
  GPUS       number of GPUs of each machine; 0: CPU
  WALLTIME   hours, or H:MM:SS (for schedulers; not used locally)
  MASK       tanh (default), sigmoid or unbounded; magnitude for the form RMRn
  FORM       cRMCn (default: complex network), cRMRn or RMRn (its real twins)

EOT
  train_options_help | sed 's#data/mini_mixtures#data/voicebank#'
  echo 'Example: bash scripts/train/train_dcunet.sh D20 DCUnet-20 weighted_sdr local 1 24 tanh'
}

read_train_options "$@"
n=${#positional[@]}
((n >= 6 && n <= 8)) || usage_error "6 to 8 arguments are needed; got $n"
set -- "${positional[@]}"
data=$PROJECT_ROOT/data/voicebank
train_json=${train_json:-${SELOSS_TRAIN_JSON:-$data/train.json}}
valid_json=${valid_json:-${SELOSS_VALID_JSON:-$data/valid.json}}
for file in "$train_json" "$valid_json"; do
  [[ -f $file ]] || fail "no data $file: scripts/data/voicebank_demand.py --out data/voicebank makes it"
done
form=${8:-cRMCn} mask=${7:-}
[[ -n $mask ]] || mask=$([[ $form == RMRn ]] && echo magnitude || echo tanh)
train egs/DCUNet/train.py "$1" "$4" "$5" "$6" \
  --architecture "$2" --loss "$3" --mask "$mask" --form "$form"
