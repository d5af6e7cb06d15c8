#!/usr/bin/env bash
# Run the recipe from a stage on; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/submit.sh"

stage=3 tag='' loss='' scale='' n_fft=1024 hop_length=256 n_bins='' weights_type=''

help() {
  cat <<'EOF'
Usage: run_.sh --loss LOSS [options] [-- options of train.py]

  --loss NAME          neg_sisdr or xp1
  --scale NAME         linear, mel or critical
  --n_fft N            FFT size (1024)
  --hop_length N       hop (256)
  --n_bins N           number of bands
  --weights_type NAME  weighting
  --stage N            first stage, 0 to 3 (3: training; what stages 0 to 2 were, preparing data,
                       scripts/data does)
  --tag NAME           name of the experiment (default: made of the loss and its options)
  --id LIST            GPUs to use, such as 0 or 0,1 (default: all there are)
  -h, --help           this text

Manifests: $SELOSS_TRAIN_JSON and $SELOSS_VALID_JSON, else data/mini_mixtures/{train,valid}.json.
Example: egs/TAC/run_.sh --stage 3 --tag TEST --id 0 --loss neg_sisdr --scale mel --n_fft 512 \
           --hop_length 256 --n_bins 18 --weights_type sigmoid
EOF
}

read_options "stage tag id loss scale n_fft hop_length n_bins weights_type" "$@"
[[ -n $loss ]] || usage_error "--loss is needed"
[[ $stage =~ ^[0-3]$ ]] || usage_error "--stage must be 0 to 3; got '$stage'"
if [[ -z $tag ]]; then
  tag="TAC_${loss}${scale:+_$scale}${n_bins:+_$n_bins}${weights_type:+_$weights_type}"
fi

run_dir=$(experiment_folder "$tag")
train_json=$(manifest train)
valid_json=$(manifest valid)
python=$(project_python)
command=(
  "$python" "$PROJECT_ROOT/egs/TAC/train.py" --exp_dir "$run_dir"
  --train_json "$train_json" --valid_json "$valid_json"
  --loss "$loss" --n_fft "$n_fft" --hop_length "$hop_length"
)
[[ -z $scale ]] || command+=(--scale "$scale")
[[ -z $n_bins ]] || command+=(--n_bins "$n_bins")
[[ -z $weights_type ]] || command+=(--weights_type "$weights_type")
submit local 0 0 train "$run_dir" "${command[@]}" ${extra[@]+"${extra[@]}"}
