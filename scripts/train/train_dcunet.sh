#!/usr/bin/env bash
# Train DCUnet; --help explains.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"
launch train dcunet "$@"
