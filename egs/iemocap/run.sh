#!/usr/bin/env bash
# Emotions from a speaker network on IEMOCAP, one session held out at a time (Padi et al. 2021).
#
# usage: ./run.sh --corpus DIR --init MODEL [options]
# e.g.: ./run.sh --corpus /corpora/IEMOCAP_full_release
#       ./run.sh --stage 5 --exp "1 3" --head-conf conf/my_head.conf
#
#   --corpus DIR         the folder that holds Session1 to Session5
#   --init MODEL         the speaker network [../voxceleb/exp/resnet34/final.pt]
#   --exp "1 2 3"        which experiments: 1 ang hap neu sad, 2 ang exc neu sad, 3 ang hap+exc neu sad
#   --select "last dev-session oracle"
#                        heads of the last epoch, of the one that another held-out session chooses, of the one that the
#                        held-out session itself chooses (LEAKY), side by side in exp1, exp1_dev-session … [last]
#   --scratch true       train the same networks without transfer too [false]
#   --finetune true      start from MODEL and train all of it too [false]
#   --work DIR           where data/ and exp/ go [this folder]
#   --stage 1 --stop-stage 9
#     1 data folder  2 features  3 folds  4 trunk pass  5 heads  6 scores  7 without transfer  8 fine-tuning
#     9 report
#   --allow-partial true go on with a corpus that is not whole; the results are stamped PARTIAL
#   --simulated true     the corpus is simulated; the results are stamped SIMULATED
#   --draws-conf FILE --head-conf FILE --scratch-conf FILE --finetune-conf FILE --fbank-conf FILE
#                        settings of embed-segments, transfer-head, train-resnet (twice) and make-fbank
#                        [make-fbank: of an imported MODEL.pt those in MODEL.fbank.conf]
#   --nj 4 --num-threads 1 --device cpu|cuda|cuda:N --seed 0
#                        jobs for features, CPU threads of a fold's job, where to compute
#   --config FILE        lines of --name=value with any of these
#
# Results: exp/exp1/{RESULTS,results.json}, without transfer exp/exp1_scratch/…, fine-tuned exp/exp1_finetune/…, all of
# it beside the paper's in exp/report/report.html
# The grid of Fig. 4 (with and without transfer, masks and pooling): local/run_ablation.sh, any time after stage 2.
set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$(dirname "$0")/cmd.sh"

corpus='' init='' exp='1 2 3' select=last scratch=false finetune=false work='' stage=1 stop_stage=9 stamp=''
allow_partial=false simulated=false nj=4 num_threads=1 device='' seed=0
fbank_conf='' draws_conf=conf/draws.conf head_conf=conf/head.conf scratch_conf=conf/scratch.conf finetune_conf=conf/finetune.conf
. sertk_options.sh
. recipe.sh
[ $# -eq 0 ] || die "what is '$1'? (see run.sh --help)"
enter_recipe corpus init work
for rule in $select; do
  case $rule in last | dev-session | oracle) ;; *) die "--select: last, dev-session or oracle, not '$rule'" ;; esac
done
init=${init:-../voxceleb/exp/resnet34/final.pt} work=${work:-.}
fbank_conf=${fbank_conf:-$(fbank_conf_of "$init")}
data=$work/data/all draws=$work/exp/draws
compute=(--seed "$seed" ${device:+--device "$device"})

if at_stage 1 "data folder, held against the counts that must come out"; then
  [ -n "$corpus" ] || die "stage 1 needs --corpus DIR, the folder that holds Session1 to Session5"
  local/prepare_iemocap.py --allow-partial "$allow_partial" --simulated "$simulated" "$corpus" "$data"
  validate-data "$data"
fi

if at_stage 2 "features"; then
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --config "$fbank_conf" "$data"
fi

if at_stage 3 "folds: one session held out after the other"; then
  for n in $exp; do
    make-folds --scheme loso --label-map "conf/labels.exp$n" "$data" "$work/exp/exp$n/folds"
  done
fi

if at_stage 4 "the frozen trunk's output for all that the heads will see"; then
  need "$init" "--init MODEL: a speaker network, as egs/voxceleb/run.sh trains it"
  $train_cmd "$draws/log/embed.log" \
    embed-segments --config "$draws_conf" "${compute[@]}" \
      "$init" "scp:$data/feats.scp" "ark,scp:$draws/draws.ark,$draws/draws.scp"
  if [ "$select" != last ]; then # what chooses: whole segments
    $train_cmd "$draws/log/whole.log" \
      embed-segments --at pool ${device:+--device "$device"} \
        "$init" "scp:$data/feats.scp" "ark,scp:$draws/whole.ark,$draws/whole.scp"
  fi
fi

if at_stage 5 "a head for each held-out session, on the frozen trunk"; then
  for rule in $select; do
    kind=${rule#last} sets=()
    for n in $exp; do
      sets+=("$work/exp/exp$n/folds/utt2label" "$work/exp/exp$n/folds/utt2fold" "$work/exp/exp$n${kind:+_$kind}")
    done
    # One job: it reads the draws once for the five heads of all experiments.
    $train_cmd "$draws/log/transfer${kind:+_$kind}.log" \
      transfer-head --config "$head_conf" "${compute[@]}" \
        --select "$rule" ${kind:+--eval-vectors "scp:$draws/whole.scp"} \
        "$init" "scp:$draws/draws.scp" "${sets[@]}"
    for n in $exp; do # the report of each names the command
      install -D -m 644 "$draws/log/transfer${kind:+_$kind}.log" "$work/exp/exp$n${kind:+_$kind}/log/transfer.log"
    done
  done
fi

if at_stage 6 "scores with transfer"; then
  for n in $exp; do
    for rule in $select; do
      kind=${rule#last} dir=$work/exp/exp$n${kind:+_$kind}
      score_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
        --data "$data" "$data/feats.scp" "$work/exp/exp$n/folds" "$dir"
    done
  done
fi

if [ "$scratch" = true ] && at_stage 7 "the same network without transfer"; then
  for n in $exp; do
    folds=$work/exp/exp$n/folds dir=$work/exp/exp${n}_scratch
    $train_cmd --num-threads "$num_threads" JOB=1:5 "$dir/log/train.JOB.log" \
      train-resnet --config "$scratch_conf" "${compute[@]}" --num-threads "$num_threads" \
        --utt2fold "$folds/utt2fold" --fold JOB "scp:$data/feats.scp" "$folds/utt2label" "$dir/JOB"
    score_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
      --data "$data" "$data/feats.scp" "$folds" "$dir"
  done
fi

if [ "$finetune" = true ] && at_stage 8 "fine-tuning of the whole network"; then
  for n in $exp; do
    folds=$work/exp/exp$n/folds dir=$work/exp/exp${n}_finetune
    $train_cmd --num-threads "$num_threads" JOB=1:5 "$dir/log/train.JOB.log" \
      train-resnet --config "$finetune_conf" "${compute[@]}" --num-threads "$num_threads" --init "$init" \
        --utt2fold "$folds/utt2fold" --fold JOB "scp:$data/feats.scp" "$folds/utt2label" "$dir/JOB"
    score_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
      --data "$data" "$data/feats.scp" "$folds" "$dir"
  done
fi

if at_stage 9 "the paper's tables and figures with ours beside them"; then
  make-report --data "$data" "$work/exp" "$work/exp/report"
fi
