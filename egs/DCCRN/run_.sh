#!/usr/bin/env bash
# Rerun the published comparison of losses, or a part of it; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/submit.sh"

CLASSIC='mse si_snr lms pmsqe mse_lms mse_pmsqe si_snr_lms si_snr_pmsqe'
OTHERS='sdr si_sdr mse_si_snr si_snr_si_sdr sdr_lms sdr_pmsqe'
stage=0 stop_stage=3 losses=$CLASSIC tag=DCCRN data=$PROJECT_ROOT/data/dccrn
cluster=local gpus='' walltime=24 sample='' device='' jobs=''

help() {
  cat <<EOF
Usage: run_.sh [options] [-- options of train.py]

Stages: 0 arrays of training, validation and test, from the mini corpus if there are none
        1 one training for each loss
        2 enhance the test set with each and evaluate it
        3 tables of PESQ and STOI by noise and SNR, a plot of one sample, a page to listen to

  --stage N, --stop_stage N   first and last stage (0 and 3); or both as --stage 1..3
  --losses "NAME ..."         names in configs/losses.yml, sums or one's own, as train_dccrn.sh takes
                              them; all: everything published
                              (default: $CLASSIC)
  --tag PREFIX                experiments are called PREFIX_LOSS (DCCRN)
  --data FOLDER               with train.npy, valid.npy and test.npy (data/dccrn)
  --sample ID                 of the plot (default: the first sample at 0 dB or more)
  --id LIST                   GPUs to use, such as 0 or 0,1 (default: all there are)
  --device NAME, --jobs N     of stage 2: cpu, cuda ...; processes
  --cluster NAME, --gpus N, --walltime T   of stage 1, as train_dccrn.sh takes them (local; all; 24).
                              On a cluster it submits a job for each loss and ends; when they are
                              done, continue with --stage 2
  --dry-run                   print what would be run
  -h, --help                  this text

Stopped and started again it resumes. The same comparison with a small network,
for CPUs: run_.sh --tag SMALL -- --config egs/DCCRN/conf_small.yml
Published otherwise too: $OTHERS.
EOF
}

read_options "stage stop_stage losses tag data sample device jobs cluster gpus walltime id" "$@"
read_stages 0 3
[[ $losses != all ]] || losses="$CLASSIC $OTHERS"
read -r -a names <<<"$losses"
((${#names[@]})) || usage_error "--losses needs at least one loss"
data=${data%/}
python=$(project_python)

# The experiment of a loss: its name, or what is a plain name in a sum or a path.
tag_of() { local name=${1##*/}; printf '%s_%s' "$prefix" "${name//[^A-Za-z0-9_.-]/_}"; }
prefix=$tag tags=()
for name in "${names[@]}"; do tags+=("$(tag_of "$name")"); done
say() { printf '\n== stage %s: %s\n' "$1" "$2" >&2; }

if within 0; then
  say 0 "arrays in $data"
  if [[ ! -f $data/test.npy ]]; then
    "$python" "$PROJECT_ROOT/egs/DCCRN/local/prepare.py" --mini "$PROJECT_ROOT/data/mini" --out "$data" ${dry[@]+"${dry[@]}"}
  fi
fi

if within 1; then
  for i in "${!names[@]}"; do
    say 1 "training by ${names[i]} ($((i + 1)) of ${#names[@]})"
    bash "$PROJECT_ROOT/scripts/train/train_dccrn.sh" --train_json "$data/train.npy" \
      --valid_json "$data/valid.npy" ${dry[@]+"${dry[@]}"} "${tags[i]}" "${names[i]}" \
      "$cluster" "${gpus:--}" "$walltime" ${extra[@]+-- "${extra[@]}"}
  done
  if [[ $cluster != local ]]; then
    echo "jobs are submitted; when they are done: run_.sh --stage 2 (with the same options)" >&2
    exit 0
  fi
fi

if within 2; then
  for tag in "${tags[@]}"; do
    say 2 "evaluating $tag"
    bash "$PROJECT_ROOT/scripts/evaluate/evaluate_dccrn.sh" ${dry[@]+"${dry[@]}"} \
      ${device:+--device "$device"} ${jobs:+--jobs "$jobs"} 1,2 "$tag" "$data/test.npy"
  done
fi

if within 3; then
  say 3 "tables, plot and page"
  root=$(dirname -- "$(experiment_folder "$prefix")")
  out=$root/${prefix}_comparison
  common=("${tags[@]}" --root "$root" --testset test)
  if [[ -z $sample && -f $root/${tags[0]}/test/samples.csv ]]; then
    sample=$("$python" -c 'import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], encoding="utf-8")))
at = [row for row in rows if row.get("snr_db") and float(row["snr_db"]) >= 0]
print((at or rows)[0]["Sample_ID"])' "$root/${tags[0]}/test/samples.csv")
  fi
  commands=("noise_table|-o|$out/noise_table" "compare_figure|--sample|${sample:-0}|-o|$out/compare.png" "report|-o|$out/report.html")
  [[ ${DRY_RUN:-0} == 1 ]] || mkdir -p "$out"
  for line in "${commands[@]}"; do
    IFS='|' read -r -a parts <<<"$line"
    run "$python" -m "evaluation.${parts[0]}" "${common[@]}" "${parts[@]:1}"
  done
  [[ ${DRY_RUN:-0} == 1 ]] || cat "$out/noise_table.md"
fi
