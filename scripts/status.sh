#!/usr/bin/env bash
# Show the jobs of experiments; --help explains.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/submit.sh"
launch status "$@"
