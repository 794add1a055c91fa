#!/usr/bin/env bash
# The network trained from scratch in each fold.
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

if trains; then
  $train_cmd --num-threads "$num_threads" JOB=1:"$fold_jobs" "$dir/log/train.JOB.log" \
    train-resnet --config "$conf/scratch.conf" --seed "$seed" "${compute[@]}" \
      --utt2fold "$folds/utt2fold" --fold "$folds_of_job" "scp:$data/feats.scp" "$folds/utt2label" "$dir/FOLD"
fi
predict_folds "scp:$data/feats.scp"
