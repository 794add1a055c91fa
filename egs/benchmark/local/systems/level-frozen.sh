#!/usr/bin/env bash
# A head for each fold on the frozen trunk of --level-init, a speaker network on features that keep level and spectrum.
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"
. "$(dirname "$0")/../level.sh"

level_feats
if trains; then
  $train_cmd --num-threads "$num_threads" "$dir/log/embed.log" \
    embed-segments --config "$conf/level.draws.conf" --seed "$seed" "${compute[@]}" \
      "$level_init" "scp:$data/level/feats.scp" "ark,scp:$dir/draws.ark,$dir/draws.scp"
  $train_cmd --num-threads "$num_threads" "$dir/log/transfer.log" \
    transfer-head --config "$conf/level.head.conf" --seed "$seed" "${compute[@]}" \
      "$level_init" "scp:$dir/draws.scp" "$folds/utt2label" "$folds/utt2fold" "$dir"
fi
predict_folds "scp:$data/level/feats.scp"
