#!/usr/bin/env bash
# The frozen system, with a head that also takes what the normalisation of segments removes: level and spectrum.
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"
. "$(dirname "$0")/../level.sh"

raw_feats
if trains; then
  $feats_cmd "$dir/log/cmvn.log" \
    cmvn-segment --stats "ark,scp:$dir/stats.ark,$dir/stats.scp" \
      "scp:$data/raw/feats.scp" "ark,scp:$dir/feats.ark,$dir/feats.scp"
  $train_cmd --num-threads "$num_threads" "$dir/log/embed.log" \
    embed-segments --config "$conf/draws.conf" --seed "$seed" "${compute[@]}" \
      "$init" "scp:$dir/feats.scp" "ark,scp:$dir/draws.ark,$dir/draws.scp"
  $train_cmd --num-threads "$num_threads" "$dir/log/transfer.log" \
    transfer-head --config "$conf/head.conf" --seed "$seed" "${compute[@]}" --aux "scp:$dir/stats.scp" \
      "$init" "scp:$dir/draws.scp" "$folds/utt2label" "$folds/utt2fold" "$dir"
fi
predict_folds "scp:$data/raw/feats.scp"
