#!/usr/bin/env bash
# The paper: a head for each fold on the frozen trunk of the speaker network --init.
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

if trains; then
  $train_cmd --num-threads "$num_threads" "$dir/log/embed.log" \
    embed-segments --config "$conf/draws.conf" --seed "$seed" "${compute[@]}" \
      "$init" "scp:$data/feats.scp" "ark,scp:$dir/draws.ark,$dir/draws.scp"
  $train_cmd --num-threads "$num_threads" "$dir/log/transfer.log" \
    transfer-head --config "$conf/head.conf" --seed "$seed" "${compute[@]}" \
      "$init" "scp:$dir/draws.scp" "$folds/utt2label" "$folds/utt2fold" "$dir"
fi
predict_folds "scp:$data/feats.scp"
