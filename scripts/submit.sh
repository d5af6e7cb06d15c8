# shellcheck shell=bash
# What the launchers share: where the project is, its Python, and how work is handed to a machine.
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

# read_stages FIRST LAST: check $stage and $stop_stage of a recipe; a stage A..B is both.
read_stages() {
  if [[ $stage == ?..? ]]; then stop_stage=${stage#*..} stage=${stage%..*}; fi
  [[ $stage =~ ^[$1-$2]$ && $stop_stage =~ ^[$1-$2]$ ]] ||
    usage_error "stages are $1 to $2; got '$stage' and '$stop_stage'"
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

# submit CLUSTER GPUS WALLTIME NAME RUN_DIR COMMAND...
# Hand a command over to a cluster, or run it here. CLUSTER is local, auto or a profile in
# configs/clusters; GPUS (of each node) and WALLTIME may be -, which is the profile's. NODES and
# RANKS (processes of each node that has no GPU) may be set before. With DRY_RUN=1 print what would be run.
# Output, submitted file, job number and state are kept in RUN_DIR/logs/NAME*.
submit() {
  local cluster=$1 gpus=$2 walltime=$3 name=$4${SELOSS_SHARD:+_${SELOSS_SHARD/\//_of_}} run_dir=$5 options=()
  shift 5
  [[ -z ${NODES:-} ]] || options+=(--nodes "$NODES")
  [[ -z ${RANKS:-} ]] || options+=(--ranks "$RANKS")
  [[ ${DRY_RUN:-0} != 1 ]] || options+=(--dry-run)
  SELOSS_LAUNCHER=${0##*/} "$(project_python)" "$PROJECT_ROOT/scripts/cluster/submit.py" \
    --cluster "$cluster" "--gpus=$gpus" "--walltime=$walltime" --name "$name" --run-dir "$run_dir" \
    ${options[@]+"${options[@]}"} -- "$@"
}

# Options that every launcher of training has: read_train_options "$@" sets these variables.
#   train_json valid_json: files; DRY_RUN NODES RANKS: see submit; positional: the arguments;
#   extra: the options of the recipe, after --
read_train_options() {
  train_json='' valid_json='' positional=() extra=()
  while (($#)); do
    case $1 in
      -h | --help) help; exit 0 ;;
      --dry-run) DRY_RUN=1 ;;
      --train_json | --valid_json | --nodes | --ranks)
        (($# > 1)) || usage_error "$1 needs a $([[ $1 == *_json ]] && echo file || echo number)"
        case $1 in
          --train_json) train_json=$2 ;;
          --valid_json) valid_json=$2 ;;
          --nodes) NODES=$2 ;;
          --ranks) RANKS=$2 ;;
        esac
        [[ $1 == *_json || $2 =~ ^[1-9][0-9]*$ ]] || usage_error "$1 must be a number from 1 on; got '$2'"
        shift
        ;;
      --) shift; extra=("$@"); break ;;
      --*) usage_error "unknown option $1" ;;
      *) positional+=("$1") ;;
    esac
    shift
  done
}

# What the options above look like in a help text.
train_options_help() {
  cat <<'EOF'
Options:
  --train_json FILE, --valid_json FILE   manifests; default: $SELOSS_TRAIN_JSON, $SELOSS_VALID_JSON,
                                         else data/mini_mixtures/{train,valid}.json
  --nodes N                              machines, on a cluster (as its profile says, else 1)
  --ranks N                              processes of each machine where GPUS is 0 (1)
  --dry-run                              print what would be run or submitted
  -h, --help                             this text

CLUSTER is local (train here), auto (sbatch or oarsub where found, else here), or the name of a
profile in configs/clusters; GPUS (of each machine) and WALLTIME may be -: as the profile says.
The same command started again resumes a run that was stopped. scripts/status.sh TAG says how it is.
EOF
}

# train RECIPE TAG CLUSTER GPUS WALLTIME FLAGS...
# Submit the training of a recipe (a train.py below egs), after read_train_options.
train() {
  local recipe=$1 tag=$2 cluster=$3 gpus=$4 walltime=$5 run_dir train valid python command
  shift 5
  [[ $gpus == - || $gpus =~ ^[0-9]+$ ]] || usage_error "GPUs must be a number; got '$gpus'"
  run_dir=$(experiment_folder "$tag")
  train=$(manifest train "$train_json")
  valid=$(manifest valid "$valid_json")
  python=$(project_python)
  command=("$python" "$PROJECT_ROOT/$recipe" --exp_dir "$run_dir" --train_json "$train" --valid_json "$valid")
  # How many GPUs a profile gives is known in the job only: -1 takes them all.
  if [[ $gpus == - ]]; then command+=(--gpus -1); else command+=(--gpus "$gpus"); fi
  command+=("$@" ${extra[@]+"${extra[@]}"})
  [[ ! -t 2 ]] || command+=(--progress_bar true)
  submit "$cluster" "$gpus" "$walltime" train "$run_dir" "${command[@]}"
}
