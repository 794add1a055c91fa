#!/usr/bin/env bash
# The frozen system, with a head that also takes what the normalisation of segments removes: level and spectrum.
# Settings: draws.conf head.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"
. "$(dirname "$0")/../level.sh"

raw_feats
if trains; then
  $feats_cmd "$dir/log/cmvn.log" \
    cmvn-segment --stats "ark,scp:$dir/stats.ark,$dir/stats.scp" \
      "scp:$data/raw/feats.scp" "ark,scp:$dir/feats.ark,$dir/feats.scp"
fi
frozen_heads "$init" "$dir/feats.scp" "$conf/" --aux "scp:$dir/stats.scp"
predict_folds "scp:$data/raw/feats.scp"
