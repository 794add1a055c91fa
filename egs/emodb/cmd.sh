# Sourced by run.sh: how jobs are run, `$cmd [--mem M] [--gpu N] [JOB=1:N] LOG COMMAND…`.
# run-local runs them on this machine. Kaldi's runners take the same words; with them on PATH:
#   train_cmd="slurm.pl --mem 8G --gpu 1" feats_cmd="queue.pl --mem 2G" ./run.sh
# shellcheck shell=bash
export train_cmd=${train_cmd:-run-local}
export feats_cmd=${feats_cmd:-run-local}
