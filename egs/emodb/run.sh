#!/usr/bin/env bash
# Transfer on free corpora: a speaker network trained on LibriSpeech, transferred to EmoDB's emotions, evaluated by
# leaving one session (a man and a woman) out.
#
# usage: ./run.sh --librispeech DIR --emodb DIR [options]
# e.g.: ./run.sh --librispeech /corpora/LibriSpeech --emodb /corpora/emodb
#       ./run.sh --librispeech /corpora/LibriSpeech --emodb /corpora/emodb --config conf/paper.conf --work paper
#
#   --librispeech DIR    holds train-clean-100 (and other train-…) and test-other
#   --emodb DIR          holds wav/03a01Wa.wav and others
#   --train-subsets A,B  subsets to train the speaker network on [every train-… in --librispeech]
#   --test-subset NAME   subset for the speaker trials [test-other]
#   --train-per-speaker 4
#                        recordings of each training speaker; 0: all
#   --init MODEL         use this speaker network; skip LibriSpeech and stages 3 and 4
#   --work DIR           where data/ and exp/ are written [this folder]
#   --stage 1 --stop-stage 10
#     1 data folders  2 features  3 speaker network  4 its equal error rate  5 folds
#     6 heads on the frozen trunk  7 from scratch  8 fine-tuning  9 comparison  10 report
#   --allow-partial true continue with an incomplete EmoDB; results are stamped PARTIAL
#   --speaker-conf FILE --draws-conf FILE --head-conf FILE --scratch-conf FILE --finetune-conf FILE --fbank-conf FILE
#                        settings of train-resnet, embed-segments, transfer-head, train-resnet (twice) and make-fbank
#                        [fbank: MODEL.fbank.conf of an imported MODEL.pt]
#   --nj 4 --num-threads 1 --device cpu|cuda|cuda:N
#                        feature jobs, CPU threads of each training, device
#   --seed 0 --repeats 1
#                        training runs of stages 6 to 8 (one speaker network), with the seeds 0, 1, …, in exp/emodb/seed0 …
#                        and scored together
#   --config FILE        lines of --name=value with any of these; conf/paper.conf is the paper's network
#
# Results: exp/emodb/{RESULTS,results.json}, from scratch exp/emodb_scratch/…, fine-tuned exp/emodb_finetune/…, side by
# side in exp/RESULTS, with figures in exp/report/report.html
# The grid of Fig. 4 (with and without transfer, masks and pooling): local/run_ablation.sh, after stage 3.
# Model selection compared (last epoch, dev session, oracle): compare_selection.sh, after stage 6.
set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$(dirname "$0")/cmd.sh"

librispeech='' emodb='' train_subsets='' test_subset=test-other train_per_speaker=4 init='' work=''
stage=1 stop_stage=10 stamp='' allow_partial=false nj=4 num_threads=1 device='' seed=0 repeats=1
fbank_conf=''
speaker_conf=conf/speaker.conf draws_conf=conf/draws.conf head_conf=conf/head.conf
scratch_conf=conf/scratch.conf finetune_conf=conf/finetune.conf
. sertk_options.sh
. recipe.sh
[ $# -eq 0 ] || die "unexpected argument '$1' (see run.sh --help)"
enter_recipe librispeech emodb init work
work=${work:-.}
train=$work/data/train test=$work/data/test data=$work/data/emodb
resnet=$work/exp/resnet34 dir=$work/exp/emodb folds=$work/exp/emodb/folds
fbank_conf=${fbank_conf:-$(fbank_conf_of "$init")}
sets=("$train" "$test" "$data")
[ -z "$init" ] || sets=("$data") # a given speaker network needs no LibriSpeech
compute=(${device:+--device "$device"})
seeds=$(seeds_of "$seed" "$repeats")
need_for 2 --fbank-conf "$fbank_conf"
[ -n "$init" ] || need_for 3 --speaker-conf "$speaker_conf"
need_for 6 --init "$init"
need_for 6 --draws-conf "$draws_conf"
need_for 6 --head-conf "$head_conf"
need_for 7 --scratch-conf "$scratch_conf"
need_for 8 --init "$init"
need_for 8 --finetune-conf "$finetune_conf"

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
check_feats 3 8 "$fbank_conf" "${sets[@]}"

if [ -z "$init" ] && at_stage 3 "speaker network"; then
  $train_cmd "$resnet/log/train.log" \
    train-resnet --config "$speaker_conf" --seed "$seed" "${compute[@]}" "scp:$train/feats.scp" "$train/utt2spk" "$resnet"
fi

if [ -z "$init" ] && at_stage 4 "equal error rate on unseen speakers"; then
  $train_cmd "$resnet/log/embed.log" \
    embed-segments "${compute[@]}" \
      "$resnet/final.pt" "scp:$test/feats.scp" "ark,scp:$resnet/test.ark,$resnet/test.scp"
  keep_as "$resnet/RESULTS" \
    score-trials --utt2spk <(cat "$train/utt2spk" "$test/utt2spk") --json "$resnet/results.json" \
      "$test/trials" "scp:$resnet/test.scp"
fi

init=${init:-$resnet/final.pt}

if at_stage 5 "folds: leave one session out"; then
  make-folds --scheme loso --label-map conf/labels.exp1 "$data" "$folds"
fi

if at_stage 6 "transfer: a head for each held-out session, on the frozen trunk"; then
  for s in $seeds; do
    draws=$(run_of "$work/exp/draws" "$s")
    run=$(run_of "$dir" "$s" "$folds")
    $train_cmd "$draws/log/embed.log" \
      embed-segments --config "$draws_conf" --seed "$s" "${compute[@]}" \
        "$init" "scp:$data/feats.scp" "ark,scp:$draws/draws.ark,$draws/draws.scp"
    # One job for all folds, which reads the draws once.
    $train_cmd "$run/log/transfer.log" \
      transfer-head --config "$head_conf" --seed "$s" "${compute[@]}" \
        "$init" "scp:$draws/draws.scp" "$folds/utt2label" "$folds/utt2fold" "$run"
  done
  score_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
    --data "$data" "$data/feats.scp" "$folds" "$dir"
fi

if at_stage 7 "from scratch: the same network without transfer"; then
  for s in $seeds; do
    run=$(run_of "${dir}_scratch" "$s" "$folds")
    train_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
      "scp:$data/feats.scp" "$folds" "$run" --config "$scratch_conf" --seed "$s"
  done
  score_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
    --data "$data" "$data/feats.scp" "$folds" "${dir}_scratch"
fi

if at_stage 8 "fine-tuning: transfer of the whole network"; then
  for s in $seeds; do
    run=$(run_of "${dir}_finetune" "$s" "$folds")
    train_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
      "scp:$data/feats.scp" "$folds" "$run" --config "$finetune_conf" --seed "$s" --init "$init"
  done
  score_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
    --data "$data" "$data/feats.scp" "$folds" "${dir}_finetune"
fi

if at_stage 9 "results, with published baselines"; then
  keep_as "$work/exp/RESULTS" \
    local/compare.py "$folds" "frozen trunk, new head=$dir" "fine-tuned=${dir}_finetune" "from scratch=${dir}_scratch"
fi

if at_stage 10 "report with figures"; then
  make-report --data "$data" "$work/exp" "$work/exp/report"
fi
