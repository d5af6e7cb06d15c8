#!/usr/bin/env bash
# Say how the jobs of experiments are: queued, running and for how long still, finished, or failed and why.
#
# Usage: status.sh [TAG...]      (without a tag: all experiments)
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/submit.sh"
case ${1:-} in -h | --help)
  sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 0
  ;;
esac
for tag; do
  [[ -d $(experiment_folder "$tag") ]] || fail "no experiment $(experiment_folder "$tag")"
done
SELOSS_LAUNCHER=${0##*/} exec "$(project_python)" "$PROJECT_ROOT/scripts/cluster/status.py" \
  "${SELOSS_EXPERIMENTS:-$PROJECT_ROOT/experiments}" "$@"
