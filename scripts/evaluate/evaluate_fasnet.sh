#!/usr/bin/env bash
# Enhance a test set with a trained FaSNet-TAC and evaluate the result; --help explains.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"
launch evaluate fasnet "$@"
