#!/usr/bin/env bash
# Run the recipe from a stage on; see --help.
set -euo pipefail
# shellcheck source=scripts/submit.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/submit.sh"

stage=0 stop_stage=3 tag=DCUNet network=DCUnet-20 loss=weighted_sdr mask=tanh form=cRMCn
tree='' speech='' noise=''

help() {
  cat <<'EOT'
Usage: run_.sh [options] [-- options of train.py]

  --stage N        first stage: 0 prepares data, 1 trains, 2 enhances the test set, 3 evaluates it (0);
                   1..2: first and last
  --stop_stage N   last stage (3)
  --tag NAME       name of the experiment (DCUNet)
  --network NAME   DCUnet-10, DCUnet-16, DCUnet-20 or Large-DCUnet-20 (DCUnet-20)
  --loss NAME      weighted_sdr, mse, mse_spectrum, sdr ... (weighted_sdr)
  --mask NAME      tanh, sigmoid or unbounded (tanh)
  --form NAME      cRMCn, cRMRn or RMRn (cRMCn)
  --tree FOLDER    Voice Bank + DEMAND as published, for stage 0
  --speech FOLDER --noise FOLDER   VCTK and DEMAND, for stage 0; without any of these the mini corpus
  --id LIST        GPUs to use, such as 0 or 0,1 (default: all there are)
  --dry-run        print what would be run
  -h, --help       this text

Data lie in data/voicebank.
EOT
}

read_options "stage stop_stage tag network loss mask form tree speech noise id" "$@"
read_stages 0 3
[[ $form != RMRn ]] || mask=magnitude

if within 0; then
  "$(project_python)" "$PROJECT_ROOT/scripts/data/voicebank_demand.py" --mini "$PROJECT_ROOT/data/mini" \
    --out "$PROJECT_ROOT/data/voicebank" ${tree:+--tree "$tree"} ${speech:+--speech "$speech"} \
    ${noise:+--noise "$noise"} ${dry[@]+"${dry[@]}"}
fi
if within 1; then
  bash "$PROJECT_ROOT/scripts/train/train_dcunet.sh" "$tag" "$network" "$loss" local - - \
    "$mask" "$form" -- ${extra[@]+"${extra[@]}"}
fi
for number in 2 3; do
  ! within "$number" ||
    bash "$PROJECT_ROOT/scripts/evaluate/evaluate_dcunet.sh" $((number - 1)) "$tag"
done
