#!/usr/bin/env bash
# A small network from scratch on features that keep level and spectrum: log-mels normalised by the statistics of the
# training segments, not of each segment.
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"
. "$(dirname "$0")/../level.sh"

# Of all runs; computed again if wav.scp is newer.
[ "$data/level/feats.scp" -nt "$data/wav.scp" ] || make_level_feats "$data" "$conf"
$train_cmd --num-threads "$num_threads" "$dir/log/train.log" \
  train-resnet --config "$conf/level.conf" --seed "$seed" "${compute[@]}" \
    --utt2fold "$folds/utt2fold" --fold all "scp:$data/level/feats.scp" "$folds/utt2label" "$dir/FOLD"
predict_folds "scp:$data/level/feats.scp"
