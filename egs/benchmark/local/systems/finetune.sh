#!/usr/bin/env bash
# The speaker network --init, fine-tuned in each fold.
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

if trains; then
  $train_cmd --num-threads "$num_threads" JOB=1:"$fold_jobs" "$dir/log/train.JOB.log" \
    train-resnet --config "$conf/finetune.conf" --seed "$seed" "${compute[@]}" --init "$init" \
      --utt2fold "$folds/utt2fold" --fold "$folds_of_job" "scp:$data/feats.scp" "$folds/utt2label" "$dir/FOLD"
fi
predict_folds "scp:$data/feats.scp"
