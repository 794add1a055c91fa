#!/usr/bin/env bash
# Trains a network for every fold, on the segments of the others.
#
# usage: train_folds.sh [--cmd run-local] [--nj N] [--num-threads 1] [--device D] FEATS-RSPECIFIER FOLD-DIR DIR OPTION…
# e.g.: train_folds.sh --cmd "$train_cmd" scp:data/all/feats.scp exp/exp1/folds exp/exp1_scratch --config conf/scratch.conf
#
# FOLD-DIR is written by make-folds; writes DIR/<fold>/final.pt. OPTION… are train-resnet's. --nj jobs share the folds: by
# default as many as this machine's cores or GPUs (--cmd "run-local --gpu 1") can run at once, so that one process trains all
# folds on a single GPU; on a cluster a job for each fold.
set -euo pipefail

cmd=run-local nj='' num_threads=1 device=''
. sertk_options.sh
. recipe.sh
[ $# -ge 3 ] || { "$0" --help >&2; exit 2; }
feats=$1 folds=$2 dir=$3
shift 3

if [ -z "$nj" ]; then
  if [[ $cmd == run-local* ]]; then nj=$(fold_jobs "$folds" "$cmd" "$num_threads" "$device"); else nj=$(count_folds "$folds"); fi
fi
$cmd --num-threads "$num_threads" JOB=1:"$nj" "$dir/log/train.JOB.log" \
  train-resnet "$@" ${device:+--device "$device"} --num-threads "$num_threads" \
    --utt2fold "$folds/utt2fold" --fold "$(folds_of_job "$nj" "$folds")" "$feats" "$folds/utt2label" "$dir/FOLD"
