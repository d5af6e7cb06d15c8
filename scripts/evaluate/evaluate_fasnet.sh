#!/usr/bin/env bash
# Enhance a test set with a trained FaSNet-TAC and judge the result; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"

help() {
  cat <<'EOF'
Usage: evaluate_fasnet.sh [options] STAGE EXPERIMENT_TAG [INPUT_JSON]

  STAGE           1: enhance the test set; 2: metrics of every utterance;
                  3: word and phone error rates of a recogniser; 4: metrics by class of phone;
                  a list such as 1,2 or "1 2"; or all (3 and 4 then only if the manifest says
                  what is spoken: transcript, for 4 also textgrid or phones)
  EXPERIMENT_TAG  name of the experiment, as in training
  INPUT_JSON      manifest of the test set; default: $SELOSS_TEST_JSON, else
                  data/mini_mixtures/test.json. Its name without .json names the results' folder

Options:
  --device NAME   cpu, cuda, cuda:0 ... (default: a GPU if there is one)
  --jobs N        processes of stages 2 to 4 (default: all cores)
  --recogniser R  of stage 3: moonshine (default), pocketsphinx, whisper:PATH, wav2vec2:PATH
  --dry-run       print the commands instead of running them
  -h, --help      this text

A stage that is started again does what is missing; one that fails ends the script with its status.
EOF
}

device='' jobs='' recogniser='' positional=()
while (($#)); do
  case $1 in
    -h | --help) help; exit 0 ;;
    --dry-run) DRY_RUN=1 ;;
    --device | --jobs | --recogniser)
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
[[ ${positional[0]} != all ]] || stages=(1 2 3 4)
((${#stages[@]})) || usage_error "STAGE must be 1 to 4, a list of them, or all; got nothing"
for stage in "${stages[@]}"; do
  [[ $stage == [1-4] ]] || usage_error "STAGE must be 1 to 4, a list of them, or all; got '$stage'"
done

tag=${positional[1]}
run_dir=$(experiment_folder "$tag")
[[ -d $run_dir ]] || fail "no experiment $run_dir: train it first (scripts/train/train_fasnet.sh)"
input_json=$(manifest test "${positional[2]:-}")
testset=$(basename -- "$input_json" .json)
python=$(project_python)
root=$(dirname -- "$run_dir")

enhance=(
  "$python" "$PROJECT_ROOT/egs/TAC/custom_inference.py" --experiment_tag "$tag"
  --model_path "$run_dir/best_model.pth" --input_json "$input_json"
  --output_dir "$run_dir/$testset" --device "${device:-auto}"
)
which=(--experiment_tag "$tag" --root "$root" --testset "$testset")
[[ -z $jobs ]] || which+=(--jobs "$jobs")
judge=("$python" -m evaluation.utt_eval "${which[@]}")
recognise=("$python" -m evaluation.recognise "${which[@]}")
[[ -z $recogniser ]] || recognise+=(--recogniser "$recogniser")
phonemes=("$python" -m evaluation.ph_eval "${which[@]}")

# says PATTERN: whether the manifest has such a field with something in it.
says() { grep -Eq "\"($1)\"[[:space:]]*:[[:space:]]*[\"[][^]\"]" "$input_json"; }

for stage in "${stages[@]}"; do
  case $stage in
    1) name=inference command=("${enhance[@]}") ;;
    2) name=utt_eval command=("${judge[@]}") ;;
    3) name=recognise command=("${recognise[@]}") needed='transcript' ;;
    4) name=ph_eval command=("${phonemes[@]}") needed='transcript|textgrid|phones' ;;
  esac
  if [[ ${positional[0]} == all && $stage == [34] ]] && ! says "$needed"; then
    printf '[stage %s] %s left out: %s has no %s\n' \
      "$stage" "$name" "$input_json" "${needed//|/, }" >&2
    continue
  fi
  printf '[stage %s] %s of %s on %s\n' "$stage" "$name" "$tag" "$testset" >&2
  submit local 0 0 "$name" "$run_dir" "${command[@]}" || fail "stage $stage ($name) failed"
done
