#!/usr/bin/env bash
# The network of the level system on features normalised by each speaker's mean and deviation, those of the test too:
# results are stamped TRANSDUCTIVE.
# Settings: level.conf level.fbank.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"
. "$(dirname "$0")/../level.sh"

level_feats
$feats_cmd "$dir/log/cmvn.log" \
  cmvn-segment --utt2group "$data/utt2spk" "scp:$data/level/feats.scp" "ark,scp:$dir/feats.ark,$dir/feats.scp"
network_folds "$dir/feats.scp" level
