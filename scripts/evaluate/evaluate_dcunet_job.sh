#!/usr/bin/env bash
# Submit the evaluation of a trained DCUnet to a cluster; --help explains.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"
launch evaluate_job dcunet "$@"
