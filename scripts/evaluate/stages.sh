# shellcheck shell=bash
# What the launchers of an evaluation share: options, stages, and how each is run.
# Source this file after scripts/submit.sh and define help; it runs nothing.

# evaluate_help DEFAULT_TEST
# Print the help text that all have.
evaluate_help() {
  cat <<EOT
Usage: ${0##*/} [options] STAGE EXPERIMENT_TAG [TEST]

  STAGE           1: enhance the test set; 2: metrics of every utterance;
                  3: word and phone error rates of a recogniser; 4: metrics by class of phone;
                  a list such as 1,2 or "1 2"; or all (3 and 4 then only if the manifest says
                  what is spoken: transcript, for 4 also textgrid or phones)
  EXPERIMENT_TAG  name of the experiment, as in training
  TEST            manifest or array of the test set; default: \$SELOSS_TEST_JSON, else
                  $1. Its name without suffix names the results' folder

Options:
  --metrics LIST  of stage 2, such as "pesq_wb stoi csig cbak covl" (default: the published ones)
  --device NAME   cpu, cuda, cuda:0 ... (default: a GPU if there is one)
  --jobs N        processes of stages 2 to 4 (default: all cores)
  --recogniser R  of stage 3: moonshine (default), pocketsphinx, whisper:PATH, wav2vec2:PATH
  --dry-run       print the commands instead of running them
  -h, --help      this text

A stage that is started again does what is missing; one that fails ends the script with its status.
EOT
}

# enhance TAG RUN_DIR TEST DEVICE
# Set the command of stage 1; a launcher whose network has a program of its own redefines this.
enhance() {
  local name=${3##*/}
  command=(-m evaluation.infer --experiment_tag "$1" --root "${2%/*}" --testset "${name%.*}"
    --manifest "$3" --device "$4")
}

# evaluate TRAINER DEFAULT_TEST MAKER ARGUMENTS...
# Run the stages that the arguments ask for. TRAINER is named where there is no experiment, and MAKER
# where there is no test set; DEFAULT_TEST is below the project's folder.
evaluate() {
  local trainer=$1 test=${SELOSS_TEST_JSON:-$PROJECT_ROOT/$2} maker=$3
  local device='' jobs='' metrics='' recogniser='' positional=() stages=() command=() which names
  local stage tag run_dir python name testset
  shift 3
  while (($#)); do
    case $1 in
      -h | --help) help; exit 0 ;;
      --dry-run) export DRY_RUN=1 ;;
      --device | --jobs | --metrics | --recogniser)
        (($# > 1)) || usage_error "$1 needs a value"
        printf -v "${1#--}" '%s' "$2"
        shift
        ;;
      --*) usage_error "unknown option $1" ;;
      *) positional+=("$1") ;;
    esac
    shift
  done
  ((${#positional[@]} == 2 || ${#positional[@]} == 3)) ||
    usage_error "2 or 3 arguments are needed; got ${#positional[@]}"
  IFS=', ' read -r -a stages <<<"${positional[0]}"
  [[ ${positional[0]} != all ]] || stages=(1 2 3 4)
  ((${#stages[@]})) || usage_error "STAGE must be 1 to 4, a list of them, or all; got nothing"
  for stage in "${stages[@]}"; do
    [[ $stage == [1-4] ]] || usage_error "STAGE must be 1 to 4, a list of them, or all; got '$stage'"
  done
  tag=${positional[1]} test=${positional[2]:-$test}
  run_dir=$(experiment_folder "$tag")
  [[ -d $run_dir || ${DRY_RUN:-0} == 1 ]] || fail "no experiment $run_dir: train it first ($trainer)"
  [[ -f $test ]] || fail "no test set $test: name one, or set SELOSS_TEST_JSON; $maker"
  testset=${test##*/} testset=${testset%.*} python=$(project_python)
  which=(--experiment_tag "$tag" --root "${run_dir%/*}" --testset "$testset")
  [[ -z $jobs ]] || which+=(--jobs "$jobs")
  for stage in "${stages[@]}"; do
    case $stage in
      1) name=inference; enhance "$tag" "$run_dir" "$test" "${device:-auto}" ;;
      2) name=utt_eval command=(-m evaluation.utt_eval "${which[@]}")
         IFS=', ' read -r -a names <<<"$metrics"
         [[ -z $metrics ]] || command+=(--metrics "${names[@]}") ;;
      3) name=recognise command=(-m evaluation.recognise "${which[@]}")
         [[ -z $recogniser ]] || command+=(--recogniser "$recogniser") ;;
      4) name=ph_eval command=(-m evaluation.ph_eval "${which[@]}") ;;
    esac
    if [[ ${positional[0]} == all ]] && ! is_spoken "$stage" "$name" "$test"; then continue; fi
    printf '[stage %s] %s of %s on %s\n' "$stage" "$name" "$tag" "$testset" >&2
    submit local 0 0 "$name" "$run_dir" "$python" "${command[@]}" || fail "stage $stage ($name) failed"
  done
}

# is_spoken STAGE NAME TEST
# Whether the test set says of what is spoken as much as the stage needs; tell if it does not.
is_spoken() {
  local needed
  case $1 in
    3) needed='transcript' ;;
    4) needed='transcript|textgrid|phones' ;;
    *) return 0 ;;
  esac
  [[ $3 != *.json ]] || ! grep -Eq "\"($needed)\"[[:space:]]*:[[:space:]]*[\"[][^]\"]" "$3" || return 0
  printf '[stage %s] %s left out: %s has no %s\n' "$1" "$2" "$3" "${needed//|/, }" >&2
  return 1
}
