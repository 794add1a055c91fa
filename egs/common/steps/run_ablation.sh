#!/usr/bin/env bash
# The ablation of the paper's Fig. 4: a grid of training runs with and without transfer, masks and pooling.
#
# usage: local/run_ablation.sh [options]        in a recipe with features and a speaker network
# e.g.: local/run_ablation.sh                   resumes; finished cells with unchanged inputs are kept
#       local/run_ablation.sh --cmd "run-slurm --gpu 1 --time 4:00:00" --submit
#       local/run_ablation.sh --status
#
#   --experiments exp1 --labels conf/labels
#                                experiments, "exp1 exp2 exp3" for several; their label maps are conf/labels.exp1 …
#   --starts "transfer scratch"  transfer: new heads on the frozen trunk of the speaker network; scratch: from scratch
#   --masks "masks plain"        masks: as in the confs; plain: no masks, one version of a segment per epoch
#   --pooling "pooled fixed"     pooled: statistics pooling over any length; fixed: no pooling, chunks of --frames
#   --frames 300                 without pooling, segments are cropped or repeated to this length, in training and test
#   --scheme stratified          folds: stratified (as in the paper: speakers in both training and test), loso, speaker
#   --num-folds 5 --seed 0 --repeats 1
#                                folds; seeds 0, 1, … that each draw folds, chunks and initial weights
#   --work DIR --data data/all --init MODEL
#                                where data/ and exp/ are; the data folder in it; speaker network [exp/resnet34/final.pt]
#   --draws-conf FILE --head-conf FILE --scratch-conf FILE
#                                settings of embed-segments, transfer-head and train-resnet
#   --clusters utt2spk           map in the data folder: score-loso's intervals are also computed over its values
#   --cmd RUNNER --num-threads 1 --device cpu|cuda|cuda:N
#                                how to run jobs [$train_cmd]: run-local or run-slurm; CPU threads of a job, device
#   --submit                     submit all stages with run-slurm, as dependent arrays, and return; if rerun, it
#                                submits what failed or was cancelled, and nothing that is in the queue
#   --status                     print the progress, and units that failed, were cancelled, or that no job will run
#   --config FILE                lines of --name=value with any of these
#
# Stages: folds; trunk (one pass for all experiments and folds); heads (one job for all folds); scratch (a job per fold);
# scores; report. A failed cell does not stop the others; the next call runs it again. Results:
# exp/ablation/EXPERIMENT/START-MASKS-POOLING/SEED/{RESULTS,results.json}, exp/report; progress: exp/ablation/{plan,log}.
set -euo pipefail

recipe=. work=. data=data/all init='' experiments=exp1 starts='transfer scratch' masks='masks plain' pooling='pooled fixed'
frames=300 scheme=stratified num_folds=5 seed=0 repeats=1 clusters=utt2spk cmd=${train_cmd:-run-local} num_threads=1
device='' submit=false status=false
draws_conf=conf/draws.conf head_conf=conf/head.conf scratch_conf=conf/scratch.conf labels=conf/labels
. sertk_options.sh
. recipe.sh

[ $# -eq 0 ] || die "unexpected argument '$1' (see run_ablation.sh --help)"
absolute recipe work init
cd "$recipe" || exit
absolute draws_conf head_conf scratch_conf labels # since the plan is also used from other folders
dir=$work/exp/ablation feats=$work/$data/feats.scp init=${init:-$work/exp/resnet34/final.pt} stamp=''
if [ "$status" = true ]; then
  need "$dir/plan" "no grid was started there"
  exec units status "$dir"
fi
for word in SIMULATED PARTIAL; do [ ! -e "$work/$data/$word" ] || stamp=$word; done
known() { # known OPTION WORD…: the option's value consists of these words
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

unit() { local IFS=$'\t'; echo "$*"; } # unit NAME COMMAND…: prints a line of the plan (see units --help)

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

# do_stage STAGE RUNNER…: runs the unfinished units of a stage; failures do not stop other units.
do_stage() {
  local listed numbers key ended=0
  listed=$(units left "$dir" "$1")
  read -r numbers key <<<"$listed"
  [ -n "$numbers" ] || return 0
  [ "$submit" = true ] || printf '\n== %(%Y-%m-%d %H:%M:%S)T  %s%s: %s\n' -1 "${stamp:+[$stamp] }" "$1" "$numbers"
  "${@:2}" JOB="$numbers" "$dir/log/$1.JOB.log" units run "$dir" "$1" "$key" JOB || ended=$?
  [ "$ended" -le 128 ] && [ "$submit$ended" != true1 ] || exit "$ended" # a signal, or sbatch failed
}

trap 'exit 130' INT # Control-C ends the script, not only the job it waits for
mkdir -p "$dir/log"
exec {lock}>"$dir/driver.lock"
flock --nonblock --conflict-exit-code 99 "$lock" || [ $? -ne 99 ] || die "another run_ablation.sh is running on $dir"
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
  # The log's name changes with the scores, since run-slurm does not repeat an identical call.
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
