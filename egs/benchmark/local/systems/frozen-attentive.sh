#!/usr/bin/env bash
# Attentive statistics pooling and a head on the maps of the frozen trunk of the speaker network --init.
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

if trains; then
  $train_cmd --num-threads "$num_threads" JOB=1:"$fold_jobs" "$dir/log/train.JOB.log" \
    train-resnet --config "$conf/attentive.conf" --seed "$seed" "${compute[@]}" --init "$init" \
      --utt2fold "$folds/utt2fold" --fold "$folds_of_job" "scp:$data/feats.scp" "$folds/utt2label" "$dir/FOLD"
fi
predict_folds "scp:$data/feats.scp"
