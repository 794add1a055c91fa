# Functions of the systems level, segment-mean and speaker-norm, and of run_robustness.sh.
# shellcheck shell=bash disable=SC2154  # variables of the script that sources this

# make_level_feats DATA CONF: features that are not normalised by segments, in a data folder of their own, DATA/level.
make_level_feats() {
  combine-data "$1/level" "$1"
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --cmvn false --config "$2/level.fbank.conf" "$1/level"
}

# level_feats: those of $data, once for all runs and systems; computed again if wav.scp is newer.
level_feats() {
  [ "$data/level/feats.scp" -nt "$data/wav.scp" ] || make_level_feats "$data" "$conf"
}

# level_network FEATS: the network of conf/level.conf from scratch in each fold, and its posteriors.
level_network() {
  $train_cmd --num-threads "$num_threads" "$dir/log/train.log" \
    train-resnet --config "$conf/level.conf" --seed "$seed" "${compute[@]}" \
      --utt2fold "$folds/utt2fold" --fold all "$1" "$folds/utt2label" "$dir/FOLD"
  predict_folds "$1"
}
