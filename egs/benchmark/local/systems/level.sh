#!/usr/bin/env bash
# A small network from scratch on features that keep level and spectrum: log-mels normalised by the statistics of the
# training segments, not of each segment.
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

# Features in a data folder of their own, for all runs; computed again if wav.scp is newer.
feats=$data/level/feats.scp
if ! [ "$feats" -nt "$data/wav.scp" ]; then
  combine-data "$data/level" "$data"
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --cmvn false --config "$conf/level.fbank.conf" "$data/level"
fi
if trains; then
  $train_cmd --num-threads "$num_threads" "$dir/log/train.log" \
    train-resnet --config "$conf/level.conf" --seed "$seed" "${compute[@]}" \
      --utt2fold "$folds/utt2fold" --fold all "scp:$feats" "$folds/utt2label" "$dir/FOLD"
fi
predict_folds "scp:$feats"
