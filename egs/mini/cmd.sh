# Sourced by run.sh: how to run jobs, `$cmd [--mem M] [--gpu N] [--time T] [JOB=1:N] LOG COMMAND…`.
# run-local runs them on this machine, run-slurm as Slurm job arrays (run-slurm --help):
#   train_cmd="run-slurm --mem 16G --gpu 1 --time 24:00:00 --sbatch --partition=gpu" feats_cmd="run-slurm --mem 4G" ./run.sh
# On one machine with several GPUs, which share the folds, one job on each (on one GPU one job trains all of them):
#   train_cmd="run-local --gpu 1" ./run.sh
# Five jobs on each GPU, for trainings of small networks:
#   train_cmd="run-local --gpu 1 --jobs-per-gpu 5" ./run.sh
# Kaldi's run.pl, slurm.pl and queue.pl take the same arguments and work too, if they are on PATH:
#   train_cmd="queue.pl --mem 16G --gpu 1" feats_cmd="queue.pl --mem 4G" ./run.sh
# shellcheck shell=bash
export train_cmd=${train_cmd:-run-local}
export feats_cmd=${feats_cmd:-run-local}
