# shellcheck shell=bash
# Helpers of the launchers and of the recipes' run_.sh: the project's Python, folders, data.
# Source this file; it runs nothing.

PROJECT_ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"

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

# launch MODULE ARGUMENTS...: become a program of the project.
launch() {
  local python
  python=$(project_python)
  SELOSS_LAUNCHER=${0##*/} exec "$python" -m "seloss.cli.cluster.$1" "${@:2}"
}

# read_options "NAME ..." ARGUMENTS...: set $NAME for each --NAME VALUE, and to 1 for a switch NAME!.
# --id chooses the GPUs, --dry-run sets DRY_RUN and ${dry[@]}, --help calls help; what follows -- is
# ${extra[@]}.
# shellcheck disable=SC2034 # extra and dry are for the scripts
extra=() dry=()
# shellcheck disable=SC2034
read_options() {
  local names=" $1 " name
  shift
  while (($#)); do
    name=${1#--}
    case $1 in
      -h | --help) help; exit 0 ;;
      --) shift; extra=("$@"); break ;;
      --dry-run) export DRY_RUN=1 ;;
      --*)
        if [[ $names == *" $name! "* ]]; then
          printf -v "$name" 1
        elif [[ $names != *" $name "* ]]; then
          usage_error "unknown argument $1"
        else
          (($# > 1)) || usage_error "$1 needs a value"
          if [[ $name == id ]]; then export CUDA_VISIBLE_DEVICES=$2; else printf -v "$name" '%s' "$2"; fi
          shift
        fi
        ;;
      *) usage_error "unknown argument $1" ;;
    esac
    shift
  done
  [[ ${DRY_RUN:-0} != 1 ]] || dry=(--dry-run)
}

# Run a command, or with DRY_RUN=1 print it.
run() { if [[ ${DRY_RUN:-0} == 1 ]]; then printf '%q ' "$@"; echo; else "$@"; fi; }

# Whether a stage was requested; read_stages comes first.
within() { ((stage <= $1 && $1 <= stop_stage)); }

# read_stages FIRST LAST: check $stage and $stop_stage of a recipe; a stage A..B is both.
read_stages() {
  if [[ $stage == ?..? ]]; then stop_stage=${stage#*..} stage=${stage%..*}; fi
  [[ $stage =~ ^[$1-$2]$ && $stop_stage =~ ^[$1-$2]$ ]] ||
    usage_error "stages are $1 to $2; got '$stage' and '$stop_stage'"
}

# Print the folder of an experiment: $SELOSS_EXPERIMENTS (default: experiments right here)/TAG.
experiment_folder() {
  [[ $1 =~ ^[^./-][^/]*$ ]] || usage_error "the tag must be the plain name of a folder; got '$1'"
  printf '%s/%s\n' "${SELOSS_EXPERIMENTS:-$PWD/experiments}" "$1"
}

# Print the manifest of one part (train, valid): the environment's ($SELOSS_TRAIN_JSON ...), else that
# of the mini corpus.
manifest() {
  local variable=SELOSS_${1^^}_JSON path=data/mini_mixtures/$1.json
  [[ -f $path ]] || path=$PROJECT_ROOT/$path
  path=${!variable:-$path}
  [[ -f $path ]] || fail "no manifest $path: set $variable; \
scripts/data/prepare_mini.py and scripts/data/make_mixtures.py make them"
  printf '%s\n' "$path"
}

# submit CLUSTER GPUS WALLTIME NAME RUN_DIR COMMAND...: see seloss.cli.cluster.submit.
submit() {
  DRY_RUN=${DRY_RUN:-0} SELOSS_LAUNCHER=${0##*/} "$(project_python)" -m seloss.cli.cluster.submit \
    --cluster "$1" --gpus "$2" --walltime "$3" --name "$4" --run-dir "$5" -- "${@:6}"
}
