#!/usr/bin/env bash
# Classifies the held-out segments of every fold with that fold's network.
#
# usage: predict_folds.sh [--cmd run-local] [--nj N] [--num-threads 1] [--device D] [--to DIR] FEATS-RSPECIFIER FOLD-DIR DIR
# e.g.: predict_folds.sh scp:data/all/feats.scp exp/exp1/folds exp/exp1
#
# FOLD-DIR is written by make-folds; the networks are DIR/<fold>/final.pt. Writes DIR/<fold>/scores.ark, or with --to
# the posteriors of other features into another folder. --nj jobs share the folds: by default as many as this machine's
# cores can run at once, one on a GPU or a cluster.
set -euo pipefail

cmd=run-local nj='' num_threads=1 device='' to=''
. sertk_options.sh
. recipe.sh
[ $# -eq 3 ] || { "$0" --help >&2; exit 2; }
feats=$1 folds=$2 dir=$3
to=${to:-$dir}

need "$folds/utt2fold" "make-folds writes it"
only_folds "$to" "$folds"
for fold in $(seq "$(count_folds "$folds")"); do
  mkdir -p "$to/$fold"
  rm -f "$to/$fold"/scores.{ark,manifest} # if a job is killed, no old scores may remain beside new ones
done
# Each job imports torch once.
nj=${nj:-$(fold_jobs "$folds" "$cmd" "$num_threads" "$device")}
$cmd --num-threads "$num_threads" JOB=1:"$nj" "$to/log/predict.JOB.log" \
  predict-emotion ${device:+--device "$device"} --num-threads "$num_threads" \
    --utt2fold "$folds/utt2fold" --fold "$(folds_of_job "$nj" "$folds")" "$dir/FOLD/final.pt" "$feats" "ark:$to/FOLD/scores.ark"
