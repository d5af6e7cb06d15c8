#!/usr/bin/env bash
# Train a small DCUnet, enhance a recording of a talker and a noise it was not trained on, show both.
#
# Usage: bash scripts/demo_dcunet.sh [--epochs N]
#
# Real speech and noise are fetched once from the package index; training mixes them again in each epoch.
# The network is evaluated on 24 mixtures of two other talkers in a restaurant and at a party. The table,
# the plot, the learning curves and the recording before and after are left in
# experiments/demo_dcunet. Stopped and started again, it resumes.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# shellcheck source=scripts/demo_common.sh
source scripts/demo_common.sh

read_demo_options 16 "$@"
data=data/demo_dcunet out=experiments/demo_dcunet tag=demo_dcunet

step "Speech and noise; mixtures of the test at -2.5 to 7.5 dB"
"$python" scripts/data/prepare_mini.py --out data/mini
"$python" scripts/data/voicebank_demand.py --speech data/mini/speech --noise data/mini/noise \
  --scheme configs/schemes/demo_dcunet.yml --on_the_fly --out "$data"

step "Training a DCUnet-10 of a quarter of the channels by the weighted SDR"
prepare_training 1
"$python" egs/DCUNet/train.py --config egs/DCUNet/conf_small.yml --exp_dir "$out" \
  --train_json "$data/train.json" --valid_json "$data/valid.json" --epochs "$epochs"
unset OMP_NUM_THREADS

step "Evaluating it on talkers and noises it was not trained on"
SELOSS_EXPERIMENTS=$PWD/experiments bash scripts/evaluate/evaluate_dcunet.sh \
  --metrics "si_sdr si_sir si_sar pesq_wb stoi" 1,2 "$tag" "$data/test.json"

step "Enhancing one recording"
# the first of the talkers in the restaurant at 2.5 dB; the columns are Sample_ID, id, speaker, noise_type, snr_db
sample=$(awk -F, '$4 == "restaurant" && $5 == 2.5 {print $2; exit}' "$out/test/samples.csv")
[[ -n $sample ]] || { echo "demo_dcunet: no mixture with the restaurant in $out/test" >&2; exit 1; }
cp -- "$data/test/noisy/$sample.wav" "$out/before.wav"
"$python" -m evaluation.enhance --experiment_tag "$tag" --root experiments --overwrite \
  "$out/before.wav" -o "$out/after.wav"
"$python" -m evaluation.compare_figure "$tag" --root experiments --sample "$sample" -o "$out/compare.png"
"$python" -m evaluation.table "$tag" --root experiments --format csv -o "$out/table.csv"
"$python" -m evaluation.table "$tag" --root experiments --format markdown -o "$out/table.md"

step "Result"
cat "$out/table.md"
echo
echo "plot: $out/compare.png    curves: $out/curves.png    listen: $out/before.wav $out/after.wav"
