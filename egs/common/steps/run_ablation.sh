#!/usr/bin/env bash
# What transfer, masks and pooling give, each with and without the others (the paper's Fig. 4): a grid of trainings.
#
# usage: local/run_ablation.sh [options]        in a recipe whose features and speaker network are there
# e.g.: local/run_ablation.sh                   resumes; done cells whose inputs are the same are kept
#       local/run_ablation.sh --cmd "run-slurm --gpu 1 --time 4:00:00" --submit
#       local/run_ablation.sh --status
#
#   --experiments exp1 --labels conf/labels     label maps: conf/labels.exp1; "exp1 exp2 exp3" for several
#   --starts "transfer scratch"  transfer: new heads on the frozen trunk of the speaker network; scratch: without transfer
#   --masks "masks plain"        masks: as the confs have it; plain: --augment none, one version of a segment an epoch, not three
#   --pooling "pooled fixed"     pooled: statistics over frames of any number; fixed: no pooling, chunks of --frames
#   --frames 300                 frames that a segment is cropped or repeated to, in training and test, where nothing is pooled
#   --scheme stratified          of the folds: stratified (the paper's: speakers are in training and test), loso, speaker
#   --num-folds 5 --seed 0 --repeats 1
#                                seeds 0, 1, …, each with a deal of folds, chunks and first weights of its own
#   --work DIR --data data/all --init MODEL
#                                where data/ and exp/ are; the data folder in it; the speaker network [exp/resnet34/final.pt in it]
#   --draws-conf FILE --head-conf FILE --scratch-conf FILE
#                                settings of embed-segments, transfer-head and train-resnet
#   --clusters utt2spk           the map in the data folder whose clusters score-loso makes its intervals by
#   --cmd RUNNER --num-threads 1 --device cpu|cuda|cuda:N
#                                how jobs are run [$train_cmd]: run-local or run-slurm; CPU threads of a job, where to compute
#   --submit                     hand all stages to run-slurm as arrays that start one after the other, and return; the same call
#                                again submits what failed or was cancelled, and nothing that is in the queue
#   --status                     only say how far all is, and what failed, was cancelled, or is left with nothing that runs it
#   --config FILE                lines of --name=value with any of these
#
# Stages: folds; trunk (one pass serves all experiments and folds); heads (one job for all folds); scratch (a job a fold);
# scores; report. A cell that fails does not stop the others; the next call runs it again. Results:
# exp/ablation/EXPERIMENT/START-MASKS-POOLING/SEED/{RESULTS,results.json}, exp/report; how it went: exp/ablation/{plan,log}.
set -euo pipefail

recipe=. work=. data=data/all init='' experiments=exp1 starts='transfer scratch' masks='masks plain' pooling='pooled fixed'
frames=300 scheme=stratified num_folds=5 seed=0 repeats=1 clusters=utt2spk cmd=${train_cmd:-run-local} num_threads=1
device='' submit=false status=false
draws_conf=conf/draws.conf head_conf=conf/head.conf scratch_conf=conf/scratch.conf labels=conf/labels
. sertk_options.sh
. recipe.sh

[ $# -eq 0 ] || die "what is '$1'? (see run_ablation.sh --help)"
for name in recipe work init; do
  [ -z "${!name}" ] || printf -v "$name" '%s' "$(realpath -ms -- "${!name}")"
done
cd "$recipe" || exit
for name in draws_conf head_conf scratch_conf labels; do # whole paths: the plan is read from other folders too
  printf -v "$name" '%s' "$(realpath -ms -- "${!name}")"
done
dir=$work/exp/ablation feats=$work/$data/feats.scp init=${init:-$work/exp/resnet34/final.pt} stamp=''
if [ "$status" = true ]; then
  need "$dir/plan" "nothing was begun there"
  exec units status "$dir"
fi
for word in SIMULATED PARTIAL; do [ ! -e "$work/$data/$word" ] || stamp=$word; done
known() { # known OPTION WORD…: the option's words are some of these
  local word
  for word in ${!1}; do [[ " ${*:2} " == *" $word "* ]] || die "--$1: '$word' is not one of ${*:2}"; done
}
known starts transfer scratch
known masks masks plain
known pooling pooled fixed
need "$feats" "the recipe's run.sh makes it"
[[ $starts != *transfer* ]] || need "$init" "--init MODEL: a speaker network"
for conf in "$draws_conf" "$head_conf" "$scratch_conf"; do need "$conf"; done
for e in $experiments; do need "$labels.$e"; done

unit() { local IFS=$'\t'; echo "$*"; } # unit NAME COMMAND…: a line of the plan (see units --help)

plan() {
  local n e m p s fold chunks layers at compute draws folds
  for n in $(seq "$seed" $((seed + repeats - 1))); do
    compute=(--seed "$n" --num-threads "$num_threads" ${device:+--device "$device"})
    for e in $experiments; do
      unit "folds/$e/$n" make-folds --scheme "$scheme" --num-folds "$num_folds" --seed "$n" --label-map "$labels.$e" \
        "$work/$data" "$dir/folds/$e/$n"
    done
    for m in $masks; do for p in $pooling; do
      chunks=() layers=() at=pool draws=$dir/trunk/$m-$p/$n
      [ "$m" = masks ] || chunks+=(--augment none)
      [ "$p" = pooled ] || { chunks+=(--chunk-frames "$frames") layers=(--pooling none) at=map; }
      [[ $starts != *transfer* ]] ||
        unit "trunk/$m-$p/$n" embed-segments --config "$draws_conf" "${chunks[@]}" --at "$at" "${compute[@]}" \
          "$init" "scp:$feats" "ark,scp:$draws/draws.ark,$draws/draws.scp"
      for e in $experiments; do
        folds=$dir/folds/$e/$n
        [[ $starts != *transfer* ]] ||
          unit "heads/$e/$m-$p/$n" transfer-head --config "$head_conf" "${compute[@]}" \
            "$init" "scp:$draws/draws.scp" "$folds/utt2label" "$folds/utt2fold" "$dir/$e/transfer-$m-$p/$n"
        [[ $starts != *scratch* ]] || for fold in $(seq "$num_folds"); do
          unit "scratch/$e/$m-$p/$n/$fold" \
            train-resnet --config "$scratch_conf" "${chunks[@]}" "${layers[@]}" "${compute[@]}" \
            --utt2fold "$folds/utt2fold" --fold "$fold" "scp:$feats" "$folds/utt2label" "$dir/$e/scratch-$m-$p/$n/$fold"
        done
        for s in $starts; do
          unit "scores/$e/$s-$m-$p/$n" score_cell.sh --experiment "$e" --cell "$s-$m-$p" "${compute[@]}" \
            --clusters "$work/$data/$clusters" "$feats" "$folds" "$dir/$e/$s-$m-$p/$n"
        done
      done
    done; done
  done
}

# do_stage STAGE RUNNER…: runs what is left of a stage; what fails there does not keep others from what they can do.
do_stage() {
  local listed numbers key ended=0
  listed=$(units left "$dir" "$1")
  read -r numbers key <<<"$listed"
  [ -n "$numbers" ] || return 0
  [ "$submit" = true ] || printf '\n== %(%Y-%m-%d %H:%M:%S)T  %s%s: %s\n' -1 "${stamp:+[$stamp] }" "$1" "$numbers"
  "${@:2}" JOB="$numbers" "$dir/log/$1.JOB.log" units run "$dir" "$1" "$key" JOB || ended=$?
  [ "$ended" -le 128 ] && [ "$submit$ended" != true1 ] || exit "$ended" # a signal, or Slurm said no
}

trap 'exit 130' INT # Control-C ends the call and not only what it waits for
mkdir -p "$dir/log"
exec {lock}>"$dir/driver.lock"
flock --nonblock --conflict-exit-code 99 "$lock" || [ $? -ne 99 ] || die "another run_ablation.sh is at work on $dir"
plan >"$dir/plan.tmp"
mv "$dir/plan.tmp" "$dir/plan"
report=(make-report --data "$work/$data" "$work/exp" "$work/exp/report")
read -ra runner <<<"$cmd --num-threads $num_threads"
submit=false do_stage folds run-local

if [ "$submit" = true ]; then
  runner+=(--detach true)
  trunk=$(do_stage trunk "${runner[@]}")
  heads=$(do_stage heads "${runner[@]}" ${trunk:+--after "$trunk"})
  scratch=$(do_stage scratch "${runner[@]}")
  after=$(tr ' ' , <<<"$heads $scratch" | sed 's/^,//; s/,$//')
  scores=$(do_stage scores "${runner[@]}" ${after:+--after "$after"})
  # The log's name is new with the scores: run-slurm does not run the same call again.
  page=${scores:+$("${runner[@]}" --after "$scores" "$dir/log/report.$scores.log" "${report[@]}")}
  echo "submitted: trunk ${trunk:--}, heads ${heads:--}, scratch ${scratch:--}, scores ${scores:--}, report ${page:--}"
  exit
fi

for stage in trunk heads scratch scores; do do_stage "$stage" "${runner[@]}"; done
exec {lock}>&-
echo
code=0
units status "$dir" || code=1
if compgen -G "$dir/*/*/*/results.json" >/dev/null; then
  "${report[@]}" || code=1
fi
exit "$code"
