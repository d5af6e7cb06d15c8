#!/usr/bin/env bash
# Enhance a test set with a trained CNUNet and judge the result; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"
# shellcheck source=scripts/evaluate/stages.sh
source "$PROJECT_ROOT/scripts/evaluate/stages.sh"

help() {
  printf 'Usage: evaluate_cnunet.sh [options] STAGE EXPERIMENT_TAG [TEST]\n\n'
  evaluate_help
  cat <<'EOT'
TEST is $SELOSS_TEST_JSON, else data/mini_mixtures/test.json, where it is not given. The recipe's measures:
  bash scripts/evaluate/evaluate_cnunet.sh --metrics \
    "pesq_wb stoi csig cbak covl seg_snr dnsmos_sig dnsmos_bak dnsmos_ovrl" all CNUNet_stage2
EOT
}

evaluate egs/CNUNet/run_.sh \
  "${SELOSS_TEST_JSON:-$PROJECT_ROOT/data/mini_mixtures/test.json}" "$@"
