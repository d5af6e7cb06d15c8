#!/usr/bin/env bash
# Run the study of frequency-weighted losses: data, trainings, evaluation, tables. PROTOCOL.md says why.
#
# Usage: bash studies/frequency_weighting/run.sh [--dry-run] [STAGE...]
#
# STAGE is data, train, evaluate, compare or report; all of them by default. Started again, each does what
# is missing. Variables:
#   STUDY_SCALE    small (default: this machine) or full (the published network on a cluster)
#   STUDY_CORPUS   folder with speech and noise (default: data/mini, fetched once)
#   STUDY_DATA     where mixtures go (default: data/study; for full it must hold train.json, valid.json, test.json)
#   STUDY_CLUSTER  local (default), slurm, oar, or a profile of configs/clusters
#   STUDY_WALLTIME of a training on a cluster (default: 24)
# Experiments go to experiments/study (SELOSS_EXPERIMENTS).
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

dry_run=() stages=()
for word in "$@"; do
  case $word in
    -h | --help) awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' studies/frequency_weighting/run.sh; exit 0 ;;
    --dry-run) dry_run=(--dry-run) ;;
    data | train | evaluate | compare | report) stages+=("$word") ;;
    *) echo "run.sh: unknown argument $word (--help explains)" >&2; exit 2 ;;
  esac
done
((${#stages[@]})) || stages=(data train evaluate compare report)

scale=${STUDY_SCALE:-small} data=${STUDY_DATA:-data/study} corpus=${STUDY_CORPUS:-data/mini}
cluster=${STUDY_CLUSTER:-local} python=${PYTHON:-.venv/bin/python}
[[ $scale == small || $scale == full ]] || { echo "run.sh: STUDY_SCALE must be small or full; got $scale" >&2; exit 2; }
[[ -x $python ]] || { echo "run.sh: no environment: run 'make study'" >&2; exit 1; }
export SELOSS_EXPERIMENTS=${SELOSS_EXPERIMENTS:-experiments/study} PYTHON=$python
folder=studies/frequency_weighting

# run COMMAND...: run it, or print it with --dry-run.
run() {
  if ((${#dry_run[@]})); then printf '%q ' "$@"; echo; else "$@"; fi
}

# Test and validation have rooms, talkers and noises of their own.
make_data() {
  if [[ $scale == full ]]; then
    for split in train valid test; do
      [[ -f $data/$split.json ]] || { echo "run.sh: no $data/$split.json: make_mixtures.py makes it of your corpora" >&2; exit 1; }
    done
    return
  fi
  [[ -n ${STUDY_CORPUS:-} ]] || run "$python" scripts/data/prepare_mini.py --out data/mini
  run "$python" scripts/data/simulate_rooms.py --out "$data/rooms" --rooms 1000
  run "$python" scripts/data/list_sources.py --speech "$corpus/speech" --noise "$corpus/noise" \
    --arrays "$data/rooms" --options "$folder/mixing.yml" --excerpt 2 --out "$data/train.json"
  run "$python" scripts/data/make_mixtures.py --speech "$corpus/speech" --noise "$corpus/noise" \
    --out "$data/mixtures" --snr_db -5 5 --n_train 0 --n_valid 48 --n_test 120 --seed 1
}

# sweep ARGUMENTS...: the project's sweep of all systems.
sweep() {
  local runs=$folder/runs.yml mixtures=$data/mixtures
  if [[ $scale == full ]]; then
    runs=$SELOSS_EXPERIMENTS/full_runs.yml mixtures=$data
    mkdir -p "$SELOSS_EXPERIMENTS"
    sed "s#$folder/small.yml#$folder/full.yml#" "$folder/runs.yml" >"$runs"
  fi
  bash scripts/train/sweep.sh "$runs" "$cluster" - "${STUDY_WALLTIME:-24}" --train_json "$data/train.json" \
    --valid_json "$mixtures/valid.json" --test_json "$mixtures/test.json" "${dry_run[@]}" "$@"
}

report() {
  local systems=() tags
  for name in sisdr critical-speech_norm; do
    tags=$(cd -- "$SELOSS_EXPERIMENTS" && printf '%s,' "$name"-s?)
    systems+=("$name=${tags%,}")
  done
  run "$python" -m evaluation.compare "${systems[@]}" --root "$SELOSS_EXPERIMENTS" --testset test --cluster speaker \
    --draws 10000 -o "$SELOSS_EXPERIMENTS/main"
  for group in snr_db noise_type seen; do
    run "$python" -m evaluation.compare "${systems[@]}" --root "$SELOSS_EXPERIMENTS" --testset test --cluster speaker \
      --by "$group" -o "$SELOSS_EXPERIMENTS/main_by_$group"
  done
  run "$python" -m evaluation.report sisdr-s0 critical-speech_norm-s0 --root "$SELOSS_EXPERIMENTS" --testset test \
    --title "Frequency-weighted losses" -o "$SELOSS_EXPERIMENTS/report.html"
}

for stage in "${stages[@]}"; do
  printf '\n== %s (%d:%02d)\n' "$stage" $((SECONDS / 60)) $((SECONDS % 60))
  case $stage in
    data) make_data ;;
    report) report ;;
    *) sweep --stage "$stage" ;;
  esac
done
