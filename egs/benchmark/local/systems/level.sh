#!/usr/bin/env bash
# A small network from scratch on features that keep level and spectrum: log-mels normalised by the statistics of the
# training segments, not of each segment.
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

# The features of all runs, in a data folder of their own; computed again if wav.scp is newer.
level=$data/level
if ! [ "$level/feats.scp" -nt "$data/wav.scp" ]; then
  combine-data "$level" "$data"
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --cmvn false --config "$conf/level.fbank.conf" "$level"
fi
$train_cmd --num-threads "$num_threads" "$dir/log/train.log" \
  train-resnet --config "$conf/level.conf" --seed "$seed" "${compute[@]}" \
    --utt2fold "$folds/utt2fold" --fold all "scp:$level/feats.scp" "$folds/utt2label" "$dir/FOLD"
predict_folds "scp:$level/feats.scp"
