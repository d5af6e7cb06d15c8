# shellcheck shell=bash
# What the demos share. Source this file in the project's folder; it runs nothing.

# read_demo_options DEFAULT_EPOCHS ARGUMENTS...
# Set epochs, python and the demo's name; --help prints the comment at the top of the script.
# shellcheck disable=SC2034 # epochs is for the demo
read_demo_options() {
  demo=$(basename -- "$0" .sh) epochs=$1 python=.venv/bin/python
  shift
  while (($#)); do
    case $1 in
      -h | --help) awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "scripts/$demo.sh"; exit 0 ;;
      --epochs)
        (($# > 1)) || { echo "$demo: --epochs needs a number" >&2; exit 2; }
        epochs=$2
        shift
        ;;
      *) echo "$demo: unknown argument $1 (--help explains)" >&2; exit 2 ;;
    esac
    shift
  done
  [[ -x $python ]] || { echo "$demo: no environment: run 'make ${demo/_/-}'" >&2; exit 1; }
}

# step TEXT: say what is done now, and after how many minutes.
step() { printf '\n== %s (%d:%02d)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

# prepare_training N: share the cores among N trainings at once; they end with the script.
prepare_training() {
  local cores
  cores=$(($(getconf _NPROCESSORS_ONLN) / $1))
  # Small networks gain little from more cores than four.
  export OMP_NUM_THREADS=$((cores > 4 ? 4 : cores < 1 ? 1 : cores))
  trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT
}
