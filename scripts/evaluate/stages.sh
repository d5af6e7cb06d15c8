# shellcheck shell=bash
# What the launchers of an evaluation share: options, stages, and how each is run.
# Source this file after scripts/submit.sh; it runs nothing.

# The part of a help text that all have.
evaluate_help() {
  cat <<'EOT'
  STAGE           1: enhance the test set; 2: metrics of every utterance; 3: word and phone error
                  rates of a recogniser; a list such as 1,2 or "1 2"; or all (1 and 2)
  EXPERIMENT_TAG  name of the experiment, as in training
  TEST            manifest or array of the test set; its name without suffix names the results' folder

Options:
  --metrics LIST  of stage 2, such as "pesq_wb stoi csig cbak covl" (default: the published ones)
  --device NAME   cpu, cuda, cuda:0 ... (default: a GPU if there is one)
  --jobs N        processes of stages 2 and 3 (default: all cores)
  --dry-run       print the commands instead of running them
  -h, --help      this text

A stage that is started again does what is missing; one that fails ends the script with its status.
EOT
}

# evaluate TRAINER DEFAULT_TEST ARGUMENTS...
# Run the stages that the arguments ask for. TRAINER is named where there is no experiment.
evaluate() {
  local trainer=$1 test=$2 device='' jobs='' metrics='' positional=() stages=() stage tag run_dir
  local python which command name
  shift 2
  while (($#)); do
    case $1 in
      -h | --help) help; exit 0 ;;
      --dry-run) export DRY_RUN=1 ;;
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
  ((${#positional[@]} == 2 || ${#positional[@]} == 3)) ||
    usage_error "2 or 3 arguments are needed; got ${#positional[@]}"
  IFS=', ' read -r -a stages <<<"${positional[0]}"
  [[ ${positional[0]} != all ]] || stages=(1 2)
  ((${#stages[@]})) || usage_error "STAGE must be 1 to 3, a list of them, or all; got nothing"
  for stage in "${stages[@]}"; do
    [[ $stage == [1-3] ]] || usage_error "STAGE must be 1 to 3, a list of them, or all; got '$stage'"
  done
  tag=${positional[1]} test=${positional[2]:-$test}
  run_dir=$(experiment_folder "$tag")
  [[ -d $run_dir ]] || fail "no experiment $run_dir: train it first ($trainer)"
  [[ -f $test ]] || fail "no test set $test"
  python=$(project_python)
  name=$(basename -- "$test")
  which=(--experiment_tag "$tag" --root "$(dirname -- "$run_dir")" --testset "${name%.*}")
  for stage in "${stages[@]}"; do
    case $stage in
      1) name=inference command=(-m evaluation.infer "${which[@]}" --manifest "$test")
         command+=(--device "${device:-auto}") ;;
      2) name=utt_eval command=(-m evaluation.utt_eval "${which[@]}")
         # shellcheck disable=SC2206 # a list of words
         [[ -z $metrics ]] || command+=(--metrics ${metrics//,/ }) ;;
      3) name=recognise command=(-m evaluation.recognise "${which[@]}") ;;
    esac
    [[ -z $jobs || $stage == 1 ]] || command+=(--jobs "$jobs")
    printf '[stage %s] %s of %s on %s\n' "$stage" "$name" "$tag" "$test" >&2
    submit local 0 0 "$name" "$run_dir" "$python" "${command[@]}" || fail "stage $stage ($name) failed"
  done
}
