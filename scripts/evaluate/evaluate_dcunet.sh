#!/usr/bin/env bash
# Enhance a test set with a trained DCUnet and judge the result; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"
# shellcheck source=scripts/evaluate/stages.sh
source "$PROJECT_ROOT/scripts/evaluate/stages.sh"

help() {
  printf 'Usage: evaluate_dcunet.sh [options] STAGE EXPERIMENT_TAG [TEST]\n\n'
  evaluate_help
  cat <<'EOT'
TEST is $SELOSS_TEST_JSON, else data/voicebank/test.json, where it is not given. The paper's measures:
  bash scripts/evaluate/evaluate_dcunet.sh --metrics "pesq_wb csig cbak covl seg_snr" all DCUNet
EOT
}

evaluate scripts/train/train_dcunet.sh \
  "${SELOSS_TEST_JSON:-$PROJECT_ROOT/data/voicebank/test.json}" "$@"
