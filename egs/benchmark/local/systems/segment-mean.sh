#!/usr/bin/env bash
# The network of the level system on features from which each segment's mean is subtracted, bin by bin: the spectrum is
# lost, its deviation is kept.
# Settings: level.conf level.fbank.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"
. "$(dirname "$0")/../level.sh"

level_feats
$feats_cmd "$dir/log/cmvn.log" \
  cmvn-segment --norm-vars false "scp:$data/level/feats.scp" "ark,scp:$dir/feats.ark,$dir/feats.scp"
network_folds "$dir/feats.scp" level
