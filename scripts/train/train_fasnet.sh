#!/usr/bin/env bash
# Train FaSNet-TAC; --help explains.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"
launch train fasnet "$@"
