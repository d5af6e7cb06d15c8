#!/usr/bin/env bash
# Enhance a test set with a trained DCCRN and judge the result; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"

help() {
  cat <<'EOF'
Usage: evaluate_dccrn.sh [options] STAGE EXPERIMENT_TAG [TEST]

  STAGE           1: enhance the test set; 2: metrics of every utterance and of every noise and SNR;
                  a list such as 1,2 or "1 2"; or all
  EXPERIMENT_TAG  name of the experiment, as in training
  TEST            array or manifest of the test set; default: $SELOSS_TEST_JSON, else
                  data/dccrn/test.npy. Its bare name names the results' folder

Options:
  --device NAME   cpu, cuda, cuda:0 ... (default: a GPU if there is one)
  --jobs N        processes of stage 2 (default: all cores)
  --metrics LIST  of stage 2, such as "pesq_wb stoi" (default: what evaluation.utt_eval has)
  --dry-run       print the commands instead of running them
  -h, --help      this text

A stage that is started again does what is missing; one that fails ends the script with its status.
EOF
}

device='' jobs='' metrics='' positional=()
while (($#)); do
  case $1 in
    -h | --help) help; exit 0 ;;
    --dry-run) DRY_RUN=1 ;;
    --device | --jobs | --metrics)
      (($# > 1)) || usage_error "$1 needs a value"
      printf -v "${1#--}" '%s' "$2"
      shift
      ;;
    --*) usage_error "unknown option $1" ;;
    *) positional+=("$1") ;;
  esac
  shift
done
n=${#positional[@]}
((n == 2 || n == 3)) || usage_error "2 or 3 arguments are needed; got $n"
IFS=', ' read -r -a stages <<<"${positional[0]}"
[[ ${positional[0]} != all ]] || stages=(1 2)
((${#stages[@]})) || usage_error "STAGE must be 1, 2, a list of them, or all; got nothing"
for stage in "${stages[@]}"; do
  [[ $stage == [12] ]] || usage_error "STAGE must be 1, 2, a list of them, or all; got '$stage'"
done

tag=${positional[1]}
run_dir=$(experiment_folder "$tag")
[[ -d $run_dir || ${DRY_RUN:-0} == 1 ]] ||
  fail "no experiment $run_dir: train it first (scripts/train/train_dccrn.sh)"
test=${positional[2]:-${SELOSS_TEST_JSON:-$PROJECT_ROOT/data/dccrn/test.npy}}
[[ -f $test ]] || fail "no test set $test: egs/DCCRN/local/prepare.py makes it"
testset=$(basename -- "$test")
testset=${testset%.*}
python=$(project_python)
which=(--experiment_tag "$tag" --root "$(dirname -- "$run_dir")" --testset "$testset")

enhance=("$python" -m evaluation.infer "${which[@]}" --manifest "$test")
[[ -z $device ]] || enhance+=(--device "$device")
judge=("$python" -m evaluation.utt_eval "${which[@]}")
[[ -z $jobs ]] || judge+=(--jobs "$jobs")
if [[ -n $metrics ]]; then
  IFS=', ' read -r -a names <<<"$metrics"
  judge+=(--metrics "${names[@]}")
fi
for stage in "${stages[@]}"; do
  case $stage in
    1) name=inference command=("${enhance[@]}") ;;
    2) name=utt_eval command=("${judge[@]}") ;;
  esac
  printf '[stage %s] %s of %s on %s\n' "$stage" "$name" "$tag" "$testset" >&2
  submit local 0 0 "$name" "$run_dir" "${command[@]}" || fail "stage $stage ($name) failed"
done
