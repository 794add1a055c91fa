#!/usr/bin/env bash
# From speakers to emotions on open data: a network learns LibriSpeech's speakers and recognises EmoDB's emotions,
# one session of a man and a woman held out at a time.
#
# usage: ./run.sh --librispeech DIR --emodb DIR [options]
# e.g.: ./run.sh --librispeech /corpora/LibriSpeech --emodb /corpora/emodb
#       ./run.sh --librispeech /corpora/LibriSpeech --emodb /corpora/emodb --config conf/paper.conf --work paper
#
#   --librispeech DIR    holds train-clean-100 and others, test-other
#   --emodb DIR          holds wav/03a01Wa.wav and others
#   --train-subsets A,B  the subsets whose speakers are learnt [every train-… in LibriSpeech's folder]
#   --test-subset NAME   the subset that the trials are made of [test-other]
#   --train-per-speaker 4
#                        take so many recordings of a speaker; 0: all
#   --init MODEL         a speaker network that is there already; stages 3 and 4 and LibriSpeech are left out
#   --select "last dev-session oracle"
#                        heads of the last epoch, of the one that another held-out session chooses, of the one that the
#                        held-out session itself chooses (LEAKY), side by side in emodb, emodb_dev-session … [last]
#   --work DIR           where data/ and exp/ go [this folder]
#   --stage 1 --stop-stage 10
#     1 data folders  2 features  3 speaker network  4 its equal error rate  5 folds
#     6 heads on the frozen trunk  7 without transfer  8 fine-tuning  9 comparison  10 report
#   --allow-partial true go on with an EmoDB that is not whole; the results are stamped PARTIAL
#   --speaker-conf FILE --draws-conf FILE --head-conf FILE --scratch-conf FILE --finetune-conf FILE --fbank-conf FILE
#                        settings of train-resnet, embed-segments, transfer-head, train-resnet twice more, make-fbank
#                        [make-fbank: of an imported MODEL.pt those in MODEL.fbank.conf]
#   --nj 4 --num-threads 1 --device cpu|cuda|cuda:N --seed 0
#                        jobs for features, CPU threads of a fold's job, where to compute
#   --config FILE        lines of --name=value with any of these; conf/paper.conf is the paper's network
#
# Results: exp/emodb/{RESULTS,results.json}, without transfer exp/emodb_scratch/…, fine-tuned exp/emodb_finetune/…, all
# side by side in exp/RESULTS, as a page with figures in exp/report/report.html
# The grid of Fig. 4 (with and without transfer, masks and pooling): local/run_ablation.sh, any time after stage 3.
set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$(dirname "$0")/cmd.sh"

librispeech='' emodb='' train_subsets='' test_subset=test-other train_per_speaker=4 init='' select=last work=''
stage=1 stop_stage=10 stamp='' allow_partial=false nj=4 num_threads=1 device='' seed=0
fbank_conf=''
speaker_conf=conf/speaker.conf draws_conf=conf/draws.conf head_conf=conf/head.conf
scratch_conf=conf/scratch.conf finetune_conf=conf/finetune.conf
. sertk_options.sh
. recipe.sh
[ $# -eq 0 ] || die "what is '$1'? (see run.sh --help)"
enter_recipe librispeech emodb init work
work=${work:-.}
for rule in $select; do
  case $rule in last | dev-session | oracle) ;; *) die "--select: last, dev-session or oracle, not '$rule'" ;; esac
done
train=$work/data/train test=$work/data/test data=$work/data/emodb
resnet=$work/exp/resnet34 draws=$work/exp/draws dir=$work/exp/emodb folds=$work/exp/emodb/folds
fbank_conf=${fbank_conf:-$(fbank_conf_of "$init")}
sets=("$data")
[ -n "$init" ] || sets+=("$train" "$test")
compute=(--seed "$seed" ${device:+--device "$device"})
score=(score_folds.sh --cmd "$train_cmd" --data "$data" --num-threads "$num_threads"
  --device "$device")

if at_stage 1 "data folders"; then
  [ -n "$emodb" ] || die "stage 1 needs --emodb DIR"
  if [ -z "$init" ]; then
    [ -n "$librispeech" ] || die "stage 1 needs --librispeech DIR, or --init MODEL"
    local/prepare_librispeech.py ${train_subsets:+--train-subsets "$train_subsets"} --test-subset "$test_subset" \
      --train-per-speaker "$train_per_speaker" "$librispeech" "$work/data"
  fi
  local/prepare_emodb.py --allow-partial "$allow_partial" "$emodb" "$data"
  for set in "${sets[@]}"; do
    validate-data "$set"
  done
fi

if at_stage 2 "features"; then
  for set in "${sets[@]}"; do
    make_feats.sh --cmd "$feats_cmd" --nj "$nj" --config "$fbank_conf" "$set"
  done
fi

if [ -z "$init" ] && at_stage 3 "a network that tells speakers apart"; then
  $train_cmd "$resnet/log/train.log" \
    train-resnet --config "$speaker_conf" "${compute[@]}" "scp:$train/feats.scp" "$train/utt2spk" "$resnet"
fi

if [ -z "$init" ] && at_stage 4 "its equal error rate on speakers that it has not heard"; then
  $train_cmd "$resnet/log/embed.log" \
    embed-segments ${device:+--device "$device"} \
      "$resnet/final.pt" "scp:$test/feats.scp" "ark,scp:$resnet/test.ark,$resnet/test.scp"
  score-trials --utt2spk "$test/utt2spk" --json "$resnet/results.json" "$test/trials" "scp:$resnet/test.scp" |
    tee "$resnet/RESULTS"
fi

init=${init:-$resnet/final.pt}

if at_stage 5 "folds: one session held out after the other"; then
  make-folds --scheme loso --label-map conf/labels.exp1 "$data" "$folds"
fi

if at_stage 6 "a head for each held-out session, on the frozen trunk"; then
  $train_cmd "$draws/log/embed.log" \
    embed-segments --config "$draws_conf" "${compute[@]}" \
      "$init" "scp:$data/feats.scp" "ark,scp:$draws/draws.ark,$draws/draws.scp"
  if [ "$select" != last ]; then # what chooses: whole segments
    $train_cmd "$draws/log/whole.log" \
      embed-segments --at pool ${device:+--device "$device"} \
        "$init" "scp:$data/feats.scp" "ark,scp:$draws/whole.ark,$draws/whole.scp"
  fi
  for rule in $select; do
    kind=${rule#last} heads=$dir${kind:+_$kind}
    # One job: it reads the draws once for all five heads.
    $train_cmd "$heads/log/transfer.log" \
      transfer-head --config "$head_conf" "${compute[@]}" \
        --select "$rule" ${kind:+--eval-vectors "scp:$draws/whole.scp"} \
        "$init" "scp:$draws/draws.scp" "$folds/utt2label" "$folds/utt2fold" "$heads"
    "${score[@]}" "$data/feats.scp" "$folds" "$heads"
  done
fi

if at_stage 7 "the same network without transfer"; then
  $train_cmd --num-threads "$num_threads" JOB=1:5 "${dir}_scratch/log/train.JOB.log" \
    train-resnet --config "$scratch_conf" "${compute[@]}" --num-threads "$num_threads" \
      --utt2fold "$folds/utt2fold" --fold JOB "scp:$data/feats.scp" "$folds/utt2label" "${dir}_scratch/JOB"
  "${score[@]}" "$data/feats.scp" "$folds" "${dir}_scratch"
fi

if at_stage 8 "fine-tuning of the whole network"; then
  $train_cmd --num-threads "$num_threads" JOB=1:5 "${dir}_finetune/log/train.JOB.log" \
    train-resnet --config "$finetune_conf" "${compute[@]}" --num-threads "$num_threads" --init "$init" \
      --utt2fold "$folds/utt2fold" --fold JOB "scp:$data/feats.scp" "$folds/utt2label" "${dir}_finetune/JOB"
  "${score[@]}" "$data/feats.scp" "$folds" "${dir}_finetune"
fi

if at_stage 9 "with transfer, without it, and what others reach"; then
  local/compare.py "frozen trunk, new head=$dir" "fine-tuned=${dir}_finetune" "from scratch=${dir}_scratch" |
    tee "$work/exp/RESULTS"
fi

if at_stage 10 "a report with figures"; then
  make-report --data "$data" "$work/exp" "$work/exp/report"
fi
