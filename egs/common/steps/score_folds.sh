#!/usr/bin/env bash
# Classifies the held-out segments of every fold with that fold's network (predict_folds.sh), and scores all folds together.
#
# usage: score_folds.sh [--cmd run-local] [--clusters FILE] [--data DIR] [--num-threads 1] [--device D]
#                       FEATS-SCP FOLD-DIR DIR
# e.g.: score_folds.sh --data data/all data/all/feats.scp exp/exp1/folds exp/exp1
#
# FOLD-DIR is written by make-folds; the networks are DIR/<fold>/final.pt, of several training runs
# DIR/seed<N>/<fold>/final.pt. Writes scores.ark beside each network, DIR/RESULTS and DIR/results.json, and prints RESULTS.
# Intervals are over speakers and over sessions (maps in FOLD-DIR); --clusters adds another map. --data is the data folder
# whose maps break the results down.
set -euo pipefail

cmd=run-local clusters='' data='' num_threads=1 device=''
. sertk_options.sh
. recipe.sh
[ $# -eq 3 ] || { "$0" --help >&2; exit 2; }
feats=$1 folds=$2 dir=$3

need "$folds/utt2fold" "make-folds writes it"
for file in "$feats" ${clusters:+"$clusters"} ${data:+"$data"}; do need "$file"; done
rm -f "$dir/results.json" "$dir/RESULTS" # if scoring fails, no results of an earlier call may remain
runs=("$dir"/seed*/)
[ -d "${runs[0]}" ] || runs=("$dir")
for run in "${runs[@]%/}"; do
  predict_folds.sh --cmd "$cmd" --num-threads "$num_threads" --device "$device" "scp:$feats" "$folds" "$run"
done

score-loso ${clusters:+--clusters "$clusters"} ${data:+--data "$data"} --json "$dir/results.json" \
  "$folds/utt2label" "$folds/utt2fold" "$dir" >"$dir/RESULTS.tmp"
mv "$dir/RESULTS.tmp" "$dir/RESULTS"
cat "$dir/RESULTS"
