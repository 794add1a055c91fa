#!/usr/bin/env bash
# What transfer, masks and pooling give, each with and without the others (the paper's Fig. 4): a grid of trainings.
#
# usage: local/run_ablation.sh [options]        in a recipe whose features and speaker network are there
# e.g.: local/run_ablation.sh                   goes on where it was; done cells whose inputs are the same are kept
#       local/run_ablation.sh --cmd "run-slurm --gpu 1 --time 4:00:00" --submit
#       local/run_ablation.sh --status
#
#   --experiments exp1 --labels conf/labels
#                        label maps: conf/labels.exp1; "exp1 exp2 exp3" for several
#   --starts "transfer scratch"
#                        transfer: new heads on the frozen trunk of the speaker network; scratch: without transfer
#   --masks "masks plain"
#                        masks: as the confs have it; plain: --augment none, one version of a segment an epoch, not three
#   --pooling "pooled fixed"
#                        pooled: statistics over frames of any number; fixed: no pooling, chunks of --frames
#   --frames 300         frames that a segment is cropped or repeated to, in training and in test, where nothing is pooled
#   --scheme stratified  of the folds: stratified (the paper's: speakers are in training and test), loso, speaker
#   --num-folds 5 --seed 0 --repeats 1
#                        how many folds; seeds 0, 1, …, each with a deal of folds, chunks and first weights of its own
#   --work DIR --data data/all --init MODEL
#                        where data/ and exp/ are; the data folder in it; the speaker network [exp/resnet34/final.pt in it]
#   --draws-conf FILE --head-conf FILE --scratch-conf FILE
#                        settings of embed-segments, transfer-head and train-resnet
#   --clusters utt2spk   the map in the data folder whose clusters score-loso makes its intervals by
#   --cmd RUNNER --num-threads 1 --device cpu|cuda|cuda:N
#                        how jobs are run [$train_cmd], CPU threads of a job, where to compute
#   --submit             hand all stages to run-slurm at once, as arrays that start one after the other, and return; the
#                        session may end. The same call again submits what failed, and nothing that is in the queue
#   --any-code           keep cells that another version of sertk made
#   --status             only say how far all is: done, running, failed and left of each stage, and the time still needed
#   --config FILE        lines of --name=value with any of these
#
# Stages: folds; trunk (one pass serves all experiments and folds); heads (one job for all folds); scratch (a job a fold);
# scores; report. A cell that fails does not stop the others; the next call runs it again. Results:
# exp/ablation/EXPERIMENT/START-MASKS-POOLING/SEED/{RESULTS,results.json}, exp/report; how it went: exp/ablation/{plan,log}.
set -euo pipefail

recipe=. work=. data=data/all init='' experiments=exp1 starts='transfer scratch' masks='masks plain' pooling='pooled fixed'
frames=300 scheme=stratified num_folds=5 seed=0 repeats=1 clusters=utt2spk cmd=${train_cmd:-run-local} num_threads=1
device='' any_code=false submit=false status=false
draws_conf=conf/draws.conf head_conf=conf/head.conf scratch_conf=conf/scratch.conf labels=conf/labels
. sertk_options.sh
. recipe.sh

# known OPTION WORD…: the option's words are some of these.
known() {
  local word
  for word in ${!1}; do
    [[ " ${*:2} " == *" $word "* ]] || die "--$1: '$word' is not one of ${*:2}"
  done
}

[ $# -eq 0 ] || die "what is '$1'? (see run_ablation.sh --help)"
for name in recipe work init; do
  [ -z "${!name}" ] || printf -v "$name" '%s' "$(realpath -ms -- "${!name}")"
done
cd "$recipe" || exit
# Whole paths in the plan: it is read from other folders too.
for name in draws_conf head_conf scratch_conf labels; do
  printf -v "$name" '%s' "$(realpath -ms -- "${!name}")"
done
dir=$work/exp/ablation feats=$work/$data/feats.scp init=${init:-$work/exp/resnet34/final.pt}
if [ "$status" = true ]; then
  need "$dir/plan" "nothing was begun there"
  exec units status "$dir"
fi
stamp=''
for word in SIMULATED PARTIAL; do [ ! -e "$work/$data/$word" ] || stamp=$word; done
known starts transfer scratch
known masks masks plain
known pooling pooled fixed
need "$feats" "the recipe's run.sh makes it"
[[ $starts != *transfer* ]] || need "$init" "--init MODEL: a speaker network"
for conf in "$draws_conf" "$head_conf" "$scratch_conf"; do need "$conf"; done
for e in $experiments; do need "$labels.$e"; done

# What a paragraph of the plan is made of (see units --help), and a value of cell.json.
unit() { printf '\nunit %s\n' "$1"; }
has() { printf '%s %s\n' "$@"; }
run() {
  local word line=
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_@%+=:,./-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
    line+=" $word"
  done
  printf 'do%s\n' "$line"
}
is() { [ "$1" = "$2" ] && echo true || echo false; }

training=$(units code data models training) scoring=$(units code data models training scoring)
[ "$any_code" = false ] || training+=' any' scoring+=' any'

plan_folds() {
  unit "folds/$e/$n"
  has reads "$labels.$e" reads "$work/$data/utt2label" reads "$work/$data/utt2spk" writes "folds/$e/$n" code "$scoring"
  run make-folds --scheme "$scheme" --num-folds "$num_folds" --seed "$n" --label-map "$labels.$e" \
    "$work/$data" "$dir/folds/$e/$n"
}

plan_trunk() {
  local at=pool
  [ "$p" = pooled ] || at=map
  unit "trunk/$m-$p/$n"
  has kind "$m-$p" reads "$draws_conf" reads "$init" reads "$feats" drops "trunk/$m-$p/$n" code "$training"
  run embed-segments --config "$draws_conf" "${chunks[@]}" --at "$at" "${compute[@]}" \
    "$init" "scp:$feats" "ark,scp:$draws/draws.ark,$draws/draws.scp"
}

plan_heads() {
  unit "heads/$e/$m-$p/$n"
  has kind "$m-$p" needs "folds/$e/$n" needs "trunk/$m-$p/$n" reads "$head_conf" reads "$init" \
    writes "$e/transfer-$m-$p/$n" code "$training"
  run transfer-head --config "$head_conf" "${compute[@]}" \
    "$init" "scp:$draws/draws.scp" "$folds/utt2label" "$folds/utt2fold" "$dir/$e/transfer-$m-$p/$n"
}

plan_scratch() {
  local layers=()
  [ "$p" = pooled ] || layers=(--pooling none)
  unit "scratch/$e/$m-$p/$n/$fold"
  has kind "$m-$p" needs "folds/$e/$n" reads "$scratch_conf" reads "$feats" \
    writes "$e/scratch-$m-$p/$n/$fold" code "$training"
  run train-resnet --config "$scratch_conf" "${chunks[@]}" "${layers[@]}" "${compute[@]}" \
    --utt2fold "$folds/utt2fold" --fold "$fold" "scp:$feats" "$folds/utt2label" "$dir/$e/scratch-$m-$p/$n/$fold"
}

plan_scores() {
  local fold cell=$e/$s-$m-$p/$n
  unit "scores/$cell"
  has kind "$p" needs "folds/$e/$n" reads "$feats" reads "$work/$data/$clusters" code "$scoring" \
    writes "$cell/RESULTS" writes "$cell/results.json" writes "$cell/cell.json"
  if [ "$s" = transfer ]; then
    has needs "heads/$e/$m-$p/$n"
  else
    for fold in $(seq "$num_folds"); do has needs "scratch/$e/$m-$p/$n/$fold"; done
  fi
  run score_cell.sh --experiment "$e" --seed "$n" \
    --transfer "$(is "$s" transfer)" --masks "$(is "$m" masks)" --pooling "$(is "$p" pooled)" \
    --clusters "$work/$data/$clusters" \
    --num-threads "$num_threads" ${device:+--device "$device"} "$feats" "$folds" "$dir/$cell"
}

write_plan() {
  local n e m p s fold chunks compute folds draws
  for n in $(seq "$seed" $((seed + repeats - 1))); do
    compute=(--seed "$n" --num-threads "$num_threads" ${device:+--device "$device"})
    for e in $experiments; do plan_folds; done
    for m in $masks; do
      for p in $pooling; do
        chunks=() draws=$dir/trunk/$m-$p/$n
        [ "$m" = masks ] || chunks+=(--augment none)
        [ "$p" = pooled ] || chunks+=(--chunk-frames "$frames")
        [[ $starts != *transfer* ]] || plan_trunk
        for e in $experiments; do
          folds=$dir/folds/$e/$n
          [[ $starts != *transfer* ]] || plan_heads
          [[ $starts != *scratch* ]] || for fold in $(seq "$num_folds"); do plan_scratch; done
          for s in $starts; do plan_scores; done
        done
      done
    done
  done
}

# Runs what is left of a stage that can be run; what fails there does not keep the next stages from what they can do.
# Lists that are there already are those of a driver that was killed, or of --submit: jobs in the queue may be reading
# them, so the runner is first asked for the same again.
do_stage() {
  local list listed
  for list in "$dir/todo/$1".*; do
    [ ! -e "$list" ] || run_listed "$list" "$@"
  done
  listed=$(units left "$dir" "$1")
  [ -z "$listed" ] || run_listed "${listed% *}" "$@"
}

run_listed() {
  local list=$1 number ended=0
  number=$(wc -l <"$list")
  printf '
== %(%Y-%m-%d %H:%M:%S)T  %s%s: %s to run
' -1 "${stamp:+[$stamp] }" "$2" "$number"
  "${@:3}" JOB=1:"$number" "$dir/log/$2.JOB.log" units run "$list" JOB || ended=$?
  [ "$ended" -le 128 ] || exit "$ended" # a signal
  [ "$ended" -eq 0 ] || code=1
  rm "$list"
}

# Submits what is left of a stage, to start after the arrays AFTER (or ''); prints its array.
submit_stage() {
  local listed
  listed=$(units left "$dir" "$1" all)
  [ -z "$listed" ] || "${@:3}" ${2:+--after "$2"} --detach true \
    JOB=1:"${listed##* }" "$dir/log/$1.JOB.log" units run "${listed% *}" JOB
}

# Control-C ends the call and not only what it waits for.
trap 'exit 130' INT
mkdir -p "$dir"
write_plan >"$dir/plan.tmp"
mv "$dir/plan.tmp" "$dir/plan"
code=0
report=(make-report --data "$work/$data" "$work/exp" "$work/exp/report")
read -ra runner <<<"$cmd --num-threads $num_threads"
do_stage folds run-local

if [ "$submit" = true ]; then
  trunk=$(submit_stage trunk '' "${runner[@]}")
  heads=$(submit_stage heads "$trunk" "${runner[@]}")
  scratch=$(submit_stage scratch '' "${runner[@]}")
  after=$heads,$scratch
  after=${after#,}
  scores=$(submit_stage scores "${after%,}" "${runner[@]}")
  # The log's name is new with the scores: run-slurm does not run the same call again.
  page=''
  [ -z "$scores" ] ||
    page=$("${runner[@]}" --after "$scores" --detach true "$dir/log/report.$scores.log" "${report[@]}")
  echo "submitted: trunk ${trunk:--}, heads ${heads:--}, scratch ${scratch:--}, scores ${scores:--}, report ${page:--}"
  exit
fi

for stage in trunk heads scratch scores; do
  do_stage "$stage" "${runner[@]}"
done
echo
units status "$dir" || code=1
if compgen -G "$dir/*/*/*/results.json" >/dev/null; then
  "${report[@]}" || code=1
fi
exit "$code"
