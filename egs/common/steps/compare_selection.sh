#!/usr/bin/env bash
# Compares model selection: trains and scores heads whose epoch is selected by another session, and by the test itself.
#
# usage: compare_selection.sh [--cmd run-local] [--config conf/head.conf] [--data DIR] [--seed 0] [--num-threads 1]
#                             [--device D] MODEL FEATS-SCP DRAWS-SCP FOLD-DIR DIR
# e.g. (in egs/iemocap, after stage 6):
#       . ./path.sh
#       compare_selection.sh --config conf/head.conf --data data/all ../voxceleb/exp/resnet34/final.pt \
#         data/all/feats.scp exp/draws/draws.scp exp/exp1/folds exp/exp1
#       make-report --data data/all exp exp/report
#
# DIR has the heads of the last epoch (transfer-head --select last). Writes the same for two other rules beside it:
#   DIR_dev-session  the epoch with the best UA on the next session, which is then not trained on
#   DIR_oracle       the epoch with the best UA on the held-out session itself: stamped LEAKY, never to be reported
# make-report shows the three side by side. --config is transfer-head's, --data is score-loso's.
set -euo pipefail

cmd=run-local config='' data='' seed=0 num_threads=1 device=''
. sertk_options.sh
. recipe.sh
[ $# -eq 5 ] || { "$0" --help >&2; exit 2; }
model=$1 feats=$2 draws=$3 folds=$4 dir=$5

for file in "$model" "$feats" "$draws" "$folds/utt2fold" ${config:+"$config"} ${data:+"$data"}; do need "$file"; done
whole=${dir}_dev-session/whole # pooled statistics of whole segments, on which the epochs are compared
$cmd "${dir}_dev-session/log/whole.log" \
  embed-segments --at pool ${device:+--device "$device"} "$model" "scp:$feats" "ark,scp:$whole.ark,$whole.scp"
for rule in dev-session oracle; do
  $cmd "${dir}_$rule/log/transfer.log" \
    transfer-head ${config:+--config "$config"} --seed "$seed" ${device:+--device "$device"} \
      --select "$rule" --eval-vectors "scp:$whole.scp" \
      "$model" "scp:$draws" "$folds/utt2label" "$folds/utt2fold" "${dir}_$rule"
  score_folds.sh --cmd "$cmd" --data "$data" --num-threads "$num_threads" --device "$device" \
    "$feats" "$folds" "${dir}_$rule"
done
