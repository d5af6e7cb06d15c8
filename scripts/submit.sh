# shellcheck shell=bash
# What the launchers share: where the project is, its Python, and how work is handed to a machine.
# Source this file; it runs nothing.

PROJECT_ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
KNOWN_CLUSTERS=(local)

# Leave with status 2 (wrong usage) or 1 (failed) and one line on stderr.
usage_error() {
  printf '%s: error: %s (--help explains the arguments)\n' "${0##*/}" "$1" >&2
  exit 2
}
fail() {
  printf '%s: error: %s\n' "${0##*/}" "$1" >&2
  exit 1
}

# Print the interpreter: $PYTHON, else the project's environment, else python3.
project_python() {
  if [[ -n ${PYTHON:-} ]]; then
    printf '%s\n' "$PYTHON"
  elif [[ -x $PROJECT_ROOT/.venv/bin/python ]]; then
    printf '%s\n' "$PROJECT_ROOT/.venv/bin/python"
  else
    command -v python3 || fail "no Python: run 'make' once, or set PYTHON"
  fi
}

# Print the folder of an experiment: $SELOSS_EXPERIMENTS (default: experiments in the project)/TAG.
experiment_folder() {
  [[ $1 =~ ^[^./-][^/]*$ ]] || usage_error "the tag must be the plain name of a folder; got '$1'"
  printf '%s/%s\n' "${SELOSS_EXPERIMENTS:-$PROJECT_ROOT/experiments}" "$1"
}

# Print the manifest of one part (train, valid, test): the file given, else the environment's
# ($SELOSS_TRAIN_JSON ...), else the mini corpus.
manifest() {
  local part=$1 given=$2 variable default
  variable="SELOSS_${part^^}_JSON"
  default="$PROJECT_ROOT/data/mini_mixtures/$part.json"
  given=${given:-${!variable:-$default}}
  [[ -f $given ]] || fail "no manifest $given: give --${part}_json FILE or set $variable; \
scripts/data/prepare_mini.py and scripts/data/make_mixtures.py make them"
  printf '%s\n' "$given"
}

check_cluster() {
  local known
  for known in "${KNOWN_CLUSTERS[@]}"; do
    [[ $1 != "$known" ]] || return 0
  done
  usage_error "cluster must be one of ${KNOWN_CLUSTERS[*]}; got '$1'"
}

# submit CLUSTER GPUS WALLTIME NAME RUN_DIR COMMAND...
# Hand a command over to a cluster, or run it here. WALLTIME binds schedulers only. With
# DRY_RUN=1 print what would be run. The output is kept in RUN_DIR/logs/NAME.log.
submit() {
  local cluster=$1 gpus=$2 walltime=$3 name=$4 run_dir=$5
  shift 5
  check_cluster "$cluster"
  [[ $gpus =~ ^[0-9]+$ ]] || usage_error "GPUs must be a number; got '$gpus'"
  [[ $walltime =~ ^[0-9]+(:[0-5][0-9]){0,2}$ ]] ||
    usage_error "walltime must be hours or H:MM:SS; got '$walltime'"
  if [[ ${DRY_RUN:-0} == 1 ]]; then
    printf '%q ' "$@"
    printf '\n'
    return 0
  fi
  local log="$run_dir/logs/$name.log"
  mkdir -p -- "$run_dir/logs"
  # Both streams reach the log and keep their way; the status is the command's (pipefail).
  { "$@" 2>&1 >&3 3>&- | tee -a -- "$log" >&2 3>&-; } 3>&1 | tee -a -- "$log"
}
