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
  CLUSTER    local: train here. Others come with the cluster profiles
  GPUS       number of GPUs; 0: CPU
  WALLTIME   hours, or H:MM:SS (for schedulers; not used locally)
  N_FFT      FFT size of the loss (1024)           SCALE      linear, mel or critical (mel)
  HOP        its hop (256)                         BINS       number of bands (18)
  WEIGHTING  weighting of the bands (None)

Options:
  --train_json FILE, --valid_json FILE   manifests; default: $SELOSS_TRAIN_JSON, $SELOSS_VALID_JSON,
                                         else data/mini_mixtures/{train,valid}.json
  --dry-run                              print the command instead of running it
  -h, --help                             this text

The same command started again resumes a run that was stopped.
Example: bash scripts/train/train_fasnet.sh XP1 neg_sisdr local 0 1 1024 256 mel 18 speech_norm
EOF
}

train_json='' valid_json='' positional=() extra=()
while (($#)); do
  case $1 in
    -h | --help) help; exit 0 ;;
    --dry-run) DRY_RUN=1 ;;
    --train_json | --valid_json)
      (($# > 1)) || usage_error "$1 needs a file"
      printf -v "${1#--}" '%s' "$2"
      shift
      ;;
    --) shift; extra=("$@"); break ;;
    --*) usage_error "unknown option $1" ;;
    *) positional+=("$1") ;;
  esac
  shift
done
n=${#positional[@]}
((n >= 5 && n <= 10)) || usage_error "5 to 10 arguments are needed; got $n"
tag=${positional[0]} loss=${positional[1]} cluster=${positional[2]}
gpus=${positional[3]} walltime=${positional[4]}
check_cluster "$cluster"

run_dir=$(experiment_folder "$tag")
train_json=$(manifest train "$train_json")
valid_json=$(manifest valid "$valid_json")
python=$(project_python)
command=(
  "$python" "$PROJECT_ROOT/egs/TAC/train.py" --exp_dir "$run_dir"
  --train_json "$train_json" --valid_json "$valid_json" --gpus "$gpus" --loss "$loss"
  --n_fft "${positional[5]:-1024}" --hop_length "${positional[6]:-256}"
  --scale "${positional[7]:-mel}" --n_bins "${positional[8]:-18}"
  --weights_type "${positional[9]:-None}" ${extra[@]+"${extra[@]}"}
)
[[ ! -t 2 ]] || command+=(--progress_bar true)
submit "$cluster" "$gpus" "$walltime" "train" "$run_dir" "${command[@]}"
