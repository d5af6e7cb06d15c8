#!/usr/bin/env bash
# Enhance a test set with a trained CNUNet and judge the result; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"
# shellcheck source=scripts/evaluate/stages.sh
source "$PROJECT_ROOT/scripts/evaluate/stages.sh"

help() {
  evaluate_help data/mini_mixtures/test.json
  cat <<'EOT'
The measures of the recipe:
  bash scripts/evaluate/evaluate_cnunet.sh --metrics \
    "pesq_wb stoi csig cbak covl seg_snr dnsmos_sig dnsmos_bak dnsmos_ovrl" all CNUNet_stage2
EOT
}

evaluate egs/CNUNet/run_.sh data/mini_mixtures/test.json \
  'scripts/data/prepare_mini.py and scripts/data/make_mixtures.py make it' "$@"
