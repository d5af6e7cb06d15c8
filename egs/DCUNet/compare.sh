#!/usr/bin/env bash
# Train and evaluate DCUnets of several depths, masks, losses and forms; tabulate them. See --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/submit.sh"

help() {
  cat <<'EOT'
Usage: compare.sh [options] [-- options of train.py for every network]

  --depths LIST    of DCUnet-10 DCUnet-16 DCUnet-20 Large-DCUnet-20 (default: the first three)
  --masks LIST     of tanh sigmoid unbounded (default: all three)
  --losses LIST    of weighted_sdr mse mse_spectrum sdr (default: all four)
  --forms LIST     of cRMCn cRMRn RMRn (default: cRMCn); RMRn has its own mask only
  --prefix NAME    of the experiments' tags (default: dcunet)
  --out FOLDER     of table.csv and table.md (default: experiments/PREFIX)
  --metrics LIST   that are measured (default: the published ones)
  --cluster NAME --gpus N --walltime W   as of train_dcunet.sh (default: local, -, -)
  --tabulate       only evaluate and tabulate: training has been done, on a cluster say
  --dry-run        print the commands instead of running them
  -h, --help       this text

Lists are separated by spaces or commas. A tag is PREFIX_DEPTH_MASK_LOSS_FORM. Data as for
train_dcunet.sh ($SELOSS_TRAIN_JSON ..., else data/voicebank). What is done already is not done again.
EOT
}

depths='DCUnet-10 DCUnet-16 DCUnet-20' masks='tanh sigmoid unbounded' forms=cRMCn
losses='weighted_sdr mse mse_spectrum sdr' prefix=dcunet out='' metrics=''
cluster=local gpus=- walltime=- tabulate=0
read_options "depths masks losses forms prefix out metrics cluster gpus walltime tabulate!" "$@"
depths=${depths//,/ } masks=${masks//,/ } losses=${losses//,/ } forms=${forms//,/ } metrics=${metrics//,/ }

# Every requested network once: tag, depth, mask, loss, form.
tags=() runs=()
for form in $forms; do
  for depth in $depths; do
    for mask in $([[ $form == RMRn ]] && echo magnitude || echo "$masks"); do
      for loss in $losses; do
        tag="${prefix}_${depth}_${mask}_${loss}_${form}"
        tags+=("$tag")
        runs+=("$tag $depth $loss $mask $form")
      done
    done
  done
done
((${#tags[@]})) || usage_error "nothing to compare: a list is empty"
printf 'comparing %d networks\n' "${#tags[@]}" >&2

for run in "${runs[@]}"; do
  read -r tag depth loss mask form <<<"$run"
  ((tabulate)) || bash "$PROJECT_ROOT/scripts/train/train_dcunet.sh" "$tag" "$depth" "$loss" \
    "$cluster" "$gpus" "$walltime" "$mask" "$form" -- ${extra[@]+"${extra[@]}"}
done
if [[ $cluster != local && $tabulate == 0 ]]; then
  echo "submitted; when all have ended (scripts/status.sh), the same command with --tabulate" >&2
  exit 0
fi

if [[ ${DRY_RUN:-0} != 1 ]]; then
  for tag in "${tags[@]}"; do
    bash "$PROJECT_ROOT/scripts/evaluate/evaluate_dcunet.sh" ${metrics:+--metrics "$metrics"} 1,2 "$tag"
  done
fi
run_dir=$(experiment_folder "$prefix")
out=${out:-$run_dir}
python=$(project_python)
for format in csv markdown; do
  run "$python" -m evaluation.table "${tags[@]}" --root "$(dirname -- "$run_dir")" \
    --format "$format" -o "$out/table.${format/markdown/md}"
done
[[ ${DRY_RUN:-0} == 1 ]] || cat -- "$out/table.md"
