#!/usr/bin/env bash
# A task of a shared evaluation: do one part; the task that finds all parts done joins them.
#
# Usage: part.sh I N RUN_DIR SHARED_STAGES SCRIPT STAGES TAG TEST [OPTIONS OF SCRIPT]
set -euo pipefail
if (($# < 8)); then
  sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  [[ ${1:-} == -h || ${1:-} == --help ]] || exit 2
  exit 0
fi
index=$1 count=$2 run_dir=$3 shared=$4 script=$5
shift 5
stages=$1 tag=$2 test=$3
shift 3
testset=$(basename -- "$test")
marker() { printf '%s/logs/.eval_%s_%s_of_%s.done' "$run_dir" "${testset%.*}" "$1" "$count"; }

rm -f -- "$(marker "$index")"
SELOSS_SHARD=$index/$count bash "$script" "$shared" "$tag" "$test" "$@"
: >"$(marker "$index")"

for ((i = 1; i <= count; i++)); do
  [[ $(marker "$i") -nt $run_dir/best_model.pth && $(marker "$i") -nt $test ]] || exit 0
done
# Two tasks that end at once both join: they write the same.
printf '[part %s of %s] all parts are done: joining them\n' "$index" "$count" >&2
exec bash "$script" "$stages" "$tag" "$test" "$@"
