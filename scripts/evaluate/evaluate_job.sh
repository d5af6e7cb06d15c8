#!/usr/bin/env bash
# Submit the evaluation of an experiment to a cluster; see --help. evaluate_<net>_job.sh name the network.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"

help() {
  cat <<'EOF'
Usage: evaluate_<net>_job.sh [options] EXPERIMENT_TAG STAGE WALLTIME CLUSTER [INPUT]
                             [-- options of evaluate_<net>.sh]

  EXPERIMENT_TAG  name of the experiment, as in training
  STAGE           of evaluate_<net>.sh: 1 enhances, 2 computes metrics, ...; a list, or all
  WALLTIME        hours, or H:MM:SS; -: as the cluster's profile says
  CLUSTER         local, auto (sbatch or oarsub where found, else here), or a profile's name
  INPUT           the test set; default: $SELOSS_TEST_JSON, else that of evaluate_<net>.sh

Options:
  --shards N    share stages 1 and 2 among N tasks of a job array; the tables are those of one
                process, byte for byte. The same command again submits only the parts that failed
  --parallel N  most tasks at a time (SLURM)
  --gpus N      GPUs of each task (default: as the profile says)
  --dry-run     print what would be run or submitted
  -h, --help    this text
Example: bash scripts/evaluate/evaluate_fasnet_job.sh --shards 8 XP1 all 2 slurm
EOF
}

case ${1:-} in -h | --help) help; exit 0 ;; esac
(($# > 1)) || usage_error "call evaluate_<net>_job.sh, such as evaluate_fasnet_job.sh"
net=$1 default=$2
shift 2
positional=() extra=() options=() gpus=-
while (($#)); do
  case $1 in
    -h | --help) help; exit 0 ;;
    --dry-run) options+=(--dry-run) ;;
    --shards | --parallel | --gpus)
      (($# > 1)) || usage_error "$1 needs a number"
      [[ $2 =~ ^[0-9]+$ && ($1 == --gpus || $2 != 0) ]] || usage_error "$1 must be a number; got '$2'"
      if [[ $1 == --gpus ]]; then gpus=$2; else options+=("$1" "$2"); fi
      shift
      ;;
    --) shift; extra=("$@"); break ;;
    --*) usage_error "unknown option $1" ;;
    *) positional+=("$1") ;;
  esac
  shift
done
n=${#positional[@]}
((n == 4 || n == 5)) || usage_error "4 or 5 arguments are needed; got $n"
[[ ${positional[1]} == all || ${positional[1]} =~ ^[1-9]([,\ ]+[1-9])*$ ]] ||
  usage_error "STAGE must be a stage's number, a list of them, or all; got '${positional[1]}'"
run_dir=$(experiment_folder "${positional[0]}")
[[ -d $run_dir ]] || fail "no experiment $run_dir: train it first (scripts/train/train_$net.sh)"
input=${positional[4]:-${SELOSS_TEST_JSON:-$PROJECT_ROOT/$default}}
[[ -f $input ]] || fail "no test set $input: name one, or set SELOSS_TEST_JSON"
[[ ${positional[3]} != local ]] || options+=(--ranks 1)
SELOSS_LAUNCHER=evaluate_${net}_job.sh exec "$(project_python)" "$PROJECT_ROOT/scripts/cluster/evaluate.py" \
  --net "$net" --tag "${positional[0]}" --run-dir "$run_dir" --stage "${positional[1]}" --test "$input" \
  --cluster "${positional[3]}" "--gpus=$gpus" "--walltime=${positional[2]}" \
  ${options[@]+"${options[@]}"} -- ${extra[@]+"${extra[@]}"}
