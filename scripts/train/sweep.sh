#!/usr/bin/env bash
# Train all combinations of losses, weightings and seeds that a file names; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"

help() {
  cat <<'EOF'
Usage: sweep.sh [options] SWEEP [CLUSTER GPUS WALLTIME]

  SWEEP     a file such as configs/sweeps/losses.yml, which explains itself
  CLUSTER   local, auto (default: sbatch or oarsub where found, else here), or a profile's name
  GPUS      of each machine; - (default): as the profile says
  WALLTIME  of each training; - (default): as the profile says

All runs are one job array, submitted once the recipe has found no mistake in their options. The same
command again submits only what is neither finished nor queued nor running; scripts/status.sh tells of
all.

Options:
  --stage train      train (default)
  --stage evaluate   judge the trainings that are finished, as an array too
  --stage compare    one table of all that is judged, with confidence intervals; the seeds of a
                     configuration count as one system. Written to experiments/sweep-NAME/comparison
  --train_json FILE, --valid_json FILE, --test_json FILE
                     manifests; default: $SELOSS_TRAIN_JSON ..., else data/mini_mixtures/*.json
  --parallel N       most runs at a time (SLURM)
  --nodes N, --ranks N, --dry-run, -h, --help: as of train_fasnet.sh
EOF
}

positional=() options=() stage=train train_json='' valid_json='' test_json=''
while (($#)); do
  case $1 in
    -h | --help) help; exit 0 ;;
    --dry-run) options+=(--dry-run) ;;
    --stage | --train_json | --valid_json | --test_json | --parallel | --nodes | --ranks)
      (($# > 1)) || usage_error "$1 needs a value"
      case $1 in
        --stage) stage=$2 ;;
        --*_json) printf -v "${1#--}" '%s' "$2" ;;
        *)
          [[ $2 =~ ^[1-9][0-9]*$ ]] || usage_error "$1 must be a number from 1 on; got '$2'"
          options+=("$1" "$2")
          ;;
      esac
      shift
      ;;
    --*) usage_error "unknown option $1" ;;
    *) positional+=("$1") ;;
  esac
  shift
done
n=${#positional[@]}
((n == 1 || n == 4)) || usage_error "1 or 4 arguments are needed; got $n"
case $stage in train | evaluate | compare) ;; *)
  usage_error "--stage must be train, evaluate or compare; got '$stage'" ;;
esac
train_json=$([[ $stage != train ]] || manifest train "$train_json")
valid_json=$([[ $stage != train ]] || manifest valid "$valid_json")
test_json=$([[ $stage == train ]] || manifest test "$test_json")
SELOSS_LAUNCHER=${0##*/} exec "$(project_python)" "$PROJECT_ROOT/scripts/cluster/sweep.py" \
  --config "${positional[0]}" --root "${SELOSS_EXPERIMENTS:-$PROJECT_ROOT/experiments}" \
  --stage "$stage" "--train_json=$train_json" "--valid_json=$valid_json" "--test_json=$test_json" \
  --cluster "${positional[1]:-auto}" "--gpus=${positional[2]:--}" "--walltime=${positional[3]:--}" \
  ${options[@]+"${options[@]}"}
