#!/usr/bin/env bash
# The network of the level system, trained also on perturbed copies of the training segments (conf/perturb.conf). A copy
# has the fold of its original; only originals are tested.
# Settings: level.conf level.fbank.conf level.perturbed.conf perturb.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"
. "$(dirname "$0")/../level.sh"

level_feats
if trains; then
  perturbed_feats
  folds=$dir/lists train_networks "$data/perturbed/feats.scp" level --config "$conf/level.perturbed.conf"
fi
predict_folds "scp:$data/level/feats.scp"
