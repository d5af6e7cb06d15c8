#!/usr/bin/env bash
# Train a small CNUNet in two stages, and without them, and look at what each has learnt.
#
# Usage: bash scripts/demo_cnunet.sh [--epochs N]
#
# Real speech and noise are fetched once from the package index, and so is the model that embeds speech.
# Three networks are trained: without embeddings; with embeddings of the noisy speech (stage 1), whose
# latents are stored; and a causal one that is drawn to those latents and needs no embeddings (stage 2).
# They are judged on 24 mixtures of two other talkers in a restaurant and at a party. The tables and the
# picture of the latents are left in experiments/demo_cnunet. Stopped and started again, it goes on where
# it was.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

epochs=4
while (($#)); do
  case $1 in
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --epochs)
      (($# > 1)) || { echo "demo_cnunet: --epochs needs a number" >&2; exit 2; }
      epochs=$2
      shift
      ;;
    *) echo "demo_cnunet: unknown argument $1 (--help explains)" >&2; exit 2 ;;
  esac
  shift
done

python=.venv/bin/python
[[ -x $python ]] || { echo "demo_cnunet: no environment: run 'make demo-cnunet'" >&2; exit 1; }
data=data/demo_cnunet out=experiments/demo_cnunet
plain=demo_cnunet_plain first=demo_cnunet_stage1 second=demo_cnunet_stage2
step() { printf '\n== %s (%d:%02d)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }
cores=$(getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS=1 # processes, not threads, fill the cores: the tensors are small
jobs=$((cores > 4 ? 4 : cores))
options=(--config egs/CNUNet/conf_small.yml --train_json "$data/train.json"
  --valid_json "$data/valid.json" --embedding.folder "$data/embeddings")

# Two networks train side by side, with half of the cores each.
# Keep freed memory: handing it back to the system after every step costs a tenth of the time.
trainer=(env OMP_NUM_THREADS=$((jobs > 1 ? jobs / 2 : 1)) MALLOC_MMAP_THRESHOLD_=4294967296
  MALLOC_TRIM_THRESHOLD_=4294967296 "$python" egs/CNUNet/train.py "${options[@]}" --epochs "$epochs")
store() { # OPTIONS...
  "$python" egs/CNUNet/store.py "${options[@]}" --jobs "$jobs" "$@"
}

step "Speech and noise; mixtures of the test at -2.5 to 7.5 dB"
"$python" scripts/data/prepare_mini.py --out data/mini
"$python" scripts/data/voicebank_demand.py --speech data/mini/speech --noise data/mini/noise \
  --scheme configs/schemes/demo_cnunet.yml --out "$data"

step "Embeddings of the noisy speech, by a model taught by XLS-R"
store --what embeddings

step "Stage 1: training with embeddings; beside it a network without them ([plain])"
"${trainer[@]}" --exp_dir "experiments/$plain" --stage 0 > >(sed 's/^/[plain] /') 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null || true' EXIT
"${trainer[@]}" --exp_dir "experiments/$first" --stage 1

step "Storing the latents of stage 1"
store --what latents --stage1 "experiments/$first"

step "Stage 2: training a causal network that is drawn to these latents"
"${trainer[@]}" --exp_dir "experiments/$second" --stage 2 --stage1 "experiments/$first"
wait "$beside"
trap - EXIT

step "Judging all three on talkers and noises they have not heard"
metrics="pesq_wb stoi csig cbak covl seg_snr dnsmos_sig dnsmos_bak dnsmos_ovrl"
for tag in "$plain" "$first" "$second"; do
  SELOSS_EXPERIMENTS=$PWD/experiments bash scripts/evaluate/evaluate_cnunet.sh \
    --metrics "$metrics" 1,2 "$tag" "$data/test.json"
done

step "The latents of all three, by speaker and by gender"
mkdir -p -- "$out"
"$python" egs/CNUNet/tsne.py --piece 1.5 --per_speaker 12 \
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
