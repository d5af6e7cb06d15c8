#!/usr/bin/env bash
# Run job.sh on this machine, its output on the terminal and in a log.
#
# Usage: local.sh LOG ARGUMENTS OF job.sh
set -euo pipefail
case ${1:-} in '' | -h | --help) sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;; esac
log=$1
shift
# Both streams reach the log and keep their way; the status is the command's (pipefail).
{ bash "$(dirname -- "${BASH_SOURCE[0]}")/job.sh" "$@" 2>&1 >&3 3>&- | tee -a -- "$log" >&2 3>&-; } 3>&1 |
  tee -a -- "$log"
