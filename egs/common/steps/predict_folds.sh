#!/usr/bin/env bash
# Classifies the held-out segments of every fold with that fold's network.
#
# usage: predict_folds.sh [--cmd run-local] [--num-threads 1] [--device D] FEATS-RSPECIFIER FOLD-DIR DIR
# e.g.: predict_folds.sh scp:data/all/feats.scp exp/exp1/folds exp/exp1
#
# FOLD-DIR is written by make-folds; the networks are DIR/<fold>/final.pt. Writes DIR/<fold>/scores.ark.
set -euo pipefail

cmd=run-local num_threads=1 device=''
. sertk_options.sh
. recipe.sh
[ $# -eq 3 ] || { "$0" --help >&2; exit 2; }
feats=$1 folds=$2 dir=$3

need "$folds/utt2fold" "make-folds writes it"
# One job for all folds, which imports torch once.
$cmd --num-threads "$num_threads" "$dir/log/predict.log" \
  predict-emotion ${device:+--device "$device"} --num-threads "$num_threads" \
    --utt2fold "$folds/utt2fold" --fold all "$dir/FOLD/final.pt" "$feats" "ark:$dir/FOLD/scores.ark"
