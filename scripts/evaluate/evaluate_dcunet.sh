#!/usr/bin/env bash
# Enhance a test set with a trained DCUnet and judge the result; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../submit.sh"
# shellcheck source=scripts/evaluate/stages.sh
source "$PROJECT_ROOT/scripts/evaluate/stages.sh"

help() {
  evaluate_help data/voicebank/test.json
  cat <<'EOT'
The measures of the paper:
  bash scripts/evaluate/evaluate_dcunet.sh --metrics "pesq_wb csig cbak covl seg_snr" all DCUNet
EOT
}

evaluate scripts/train/train_dcunet.sh data/voicebank/test.json \
  'scripts/data/voicebank_demand.py makes it' "$@"
