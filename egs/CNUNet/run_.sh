#!/usr/bin/env bash
# Train CNUNet in two stages and evaluate it; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/submit.sh"

metrics='si_sdr pesq_wb stoi csig cbak covl seg_snr dnsmos_sig dnsmos_bak dnsmos_ovrl'
stage=1 stop_stage=3 tag=CNUNet test='' jobs='' oracle=0 baseline=0

help() {
  cat <<EOF
Usage: run_.sh [options] [-- options of train.py]

Stages: 1 store embeddings of the noisy speech, train with them (experiment TAG_stage1)
        2 store the latents that it gives for the training and validation data
        3 train the causal network that is drawn to them (TAG_stage2); evaluate both

  --stage N, --stop_stage N   first and last stage (1 and 3); or both as --stage 1..3
  --tag NAME                  the experiments are NAME_stage1 and NAME_stage2 (CNUNet)
  --baseline                  stage 3 also trains and evaluates NAME_plain: no embeddings, no latents
  --oracle                    stage 1 gets embeddings of the clean speech, on the test set too: tables,
                              samples and reports say so, of stage 2 as well, and the experiments
                              are called NAME_oracle_stage1 and NAME_oracle_stage2
  --test FILE                 test set (\$SELOSS_TEST_JSON, else data/mini_mixtures/test.json)
  --metrics LIST              measures ($metrics)
  --jobs N                    processes that evaluate, and that store embeddings and latents (1)
  --id LIST                   GPUs to use, such as 0 or 0,1 (default: all there are)
  --dry-run                   print what would be run
  -h, --help                  this text

Data: \$SELOSS_TRAIN_JSON and \$SELOSS_VALID_JSON, else data/mini_mixtures/{train,valid}.json:
manifests, arrays, or .yml files with noisy, clean and rule, as for Voice Bank + DEMAND.
A small network that trains within minutes: run_.sh -- --config egs/CNUNet/conf_small.yml
EOF
}

read_options "stage stop_stage tag test metrics jobs id oracle! baseline!" "$@"
read_stages 1 3
plain=${tag}_plain
source=noisy
if ((oracle)); then tag+=_oracle source=clean; fi
[[ $jobs =~ ^([1-9][0-9]*)?$ ]] || usage_error "--jobs must be a number from 1 on; got '$jobs'"

train_json=$(manifest train)
valid_json=$(manifest valid)
python=$(project_python)
first=$(experiment_folder "${tag}_stage1")
recipe=$PROJECT_ROOT/egs/CNUNet
options=(--train_json "$train_json" --valid_json "$valid_json" ${extra[@]+"${extra[@]}"})

# train NAME STAGE OPTIONS...
train() {
  local folder
  folder=$(experiment_folder "$1")
  submit local 0 0 train "$folder" "$python" "$recipe/train.py" "${options[@]}" \
    --stage "$2" --exp_dir "$folder" "${@:3}"
}

# store WHAT OPTIONS...
store() {
  local given=("${options[@]}" --what "$1" --embedding.source "$source" --jobs "${jobs:-1}" "${@:2}")
  submit local 0 0 "store_$1" "$first" "$python" "$recipe/store.py" "${given[@]}"
}

evaluate() {
  bash "$PROJECT_ROOT/scripts/evaluate/evaluate_cnunet.sh" --metrics "$metrics" \
    ${jobs:+--jobs "$jobs"} ${dry[@]+"${dry[@]}"} 1,2 "$1" ${test:+"$test"}
}

for ((now = stage; now <= stop_stage; now++)); do
  case $now in
    1)
      store embeddings
      train "${tag}_stage1" 1 --embedding.source "$source"
      ;;
    2) store latents --stage1 "$first" ;;
    3)
      train "${tag}_stage2" 2 --stage1 "$first"
      ((!baseline)) || train "$plain" 0
      evaluate "${tag}_stage1"
      evaluate "${tag}_stage2"
      ((!baseline)) || evaluate "$plain"
      ;;
  esac
done
