#!/usr/bin/env bash
# Recognises the held-out segments of every fold with that fold's network, and scores all of them together.
#
# usage: score_folds.sh [--cmd run-local] [--clusters FILE] [--data DIR] [--num-threads 1] [--device D]
#                       FEATS-SCP FOLD-DIR DIR
# e.g.: score_folds.sh --data data/all data/all/feats.scp exp/exp1/folds exp/exp1
#
# FOLD-DIR is make-folds'; DIR/<fold>/final.pt are the networks. Writes DIR/<fold>/scores.ark, DIR/RESULTS and
# DIR/results.json, and prints RESULTS. Intervals are by speakers and sessions (of the maps that make-folds leaves in
# FOLD-DIR); --clusters is one more map to make them by. --data is the data folder whose maps the results are broken down by.
set -euo pipefail

cmd=run-local clusters='' data='' num_threads=1 device=''
. sertk_options.sh
. recipe.sh
[ $# -eq 3 ] || { "$0" --help >&2; exit 2; }
feats=$1 folds=$2 dir=$3

need "$feats"
need "$folds/utt2fold"
num_folds=$(cut -d' ' -f2 "$folds/utt2fold" | sort -n | tail -n1)
$cmd --num-threads "$num_threads" JOB=1:"$num_folds" "$dir/log/predict.JOB.log" \
  predict-emotion ${device:+--device "$device"} --num-threads "$num_threads" \
    --utt2fold "$folds/utt2fold" --fold JOB "$dir/JOB/final.pt" "scp:$feats" "ark:$dir/JOB/scores.ark"

score-loso ${clusters:+--clusters "$clusters"} ${data:+--data "$data"} --json "$dir/results.json" \
  "$folds/utt2label" "$folds/utt2fold" "$dir" >"$dir/RESULTS.tmp"
mv "$dir/RESULTS.tmp" "$dir/RESULTS"
cat "$dir/RESULTS"
