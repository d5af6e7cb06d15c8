#!/usr/bin/env bash
# Train all combinations of options that a file lists; --help explains.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"
launch sweep "$@"
