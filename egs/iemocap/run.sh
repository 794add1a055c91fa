#!/usr/bin/env bash
# The paper's experiments on IEMOCAP: transfer from a speaker network to emotions, leaving one session out.
#
# usage: ./run.sh --corpus DIR --init MODEL [options]
# e.g.: ./run.sh --corpus /corpora/IEMOCAP_full_release
#       ./run.sh --stage 5 --exp "1 3" --head-conf conf/my_head.conf
#
#   --corpus DIR         the folder that holds Session1 to Session5
#   --init MODEL         the speaker network [../voxceleb/exp/resnet34/final.pt]
#   --exp "1 2 3"        experiments: 1 ang hap neu sad, 2 ang exc neu sad, 3 ang hap+exc neu sad
#   --scratch true       also train the same networks from scratch [false]
#   --finetune true      also fine-tune all of MODEL [false]
#   --work DIR           where data/ and exp/ are written [this folder]
#   --stage 1 --stop-stage 9
#     1 data folder  2 features  3 folds  4 draws of the trunk  5 heads  6 scores  7 from scratch  8 fine-tuning
#     9 report
#   --allow-partial true continue with an incomplete corpus; results are stamped PARTIAL
#   --simulated true     the corpus is simulated; results are stamped SIMULATED
#   --draws-conf FILE --head-conf FILE --scratch-conf FILE --finetune-conf FILE --fbank-conf FILE
#                        settings of embed-segments, transfer-head, train-resnet (twice) and make-fbank
#                        [make-fbank: of an imported MODEL.pt those in MODEL.fbank.conf]
#   --nj 4 --num-threads 1 --device cpu|cuda|cuda:N
#                        feature jobs, CPU threads of each training, device
#   --seed 0 --repeats 1
#                        training runs of every system, with the seeds 0, 1, …, in exp/exp1/seed0 … and scored together
#   --config FILE        lines of --name=value with any of these
#
# Results: exp/exp1/{RESULTS,results.json}, from scratch exp/exp1_scratch/…, fine-tuned exp/exp1_finetune/…, beside the
# paper's in exp/report/report.html
# The grid of Fig. 4 (with and without transfer, masks and pooling): local/run_ablation.sh, after stage 2.
# Model selection compared (last epoch, dev session, oracle): compare_selection.sh, after stage 6.
set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$(dirname "$0")/cmd.sh"

corpus='' init='' exp='1 2 3' scratch=false finetune=false work='' stage=1 stop_stage=9 stamp=''
allow_partial=false simulated=false nj=4 num_threads=1 device='' seed=0 repeats=1
fbank_conf='' draws_conf=conf/draws.conf head_conf=conf/head.conf scratch_conf=conf/scratch.conf finetune_conf=conf/finetune.conf
. sertk_options.sh
. recipe.sh
[ $# -eq 0 ] || die "unexpected argument '$1' (see run.sh --help)"
enter_recipe corpus init work
init=${init:-../voxceleb/exp/resnet34/final.pt} work=${work:-.}
fbank_conf=${fbank_conf:-$(fbank_conf_of "$init")}
data=$work/data/all
compute=(${device:+--device "$device"})
seeds=$(seeds_of "$seed" "$repeats")
for n in $exp; do need "conf/labels.exp$n" "--exp: there is no experiment $n"; done
need_for 2 --fbank-conf "$fbank_conf"
for n in 4 5 8; do
  [ "$n$finetune" = 8false ] || need_for "$n" --init "$init" "a speaker network, as egs/voxceleb/run.sh trains it"
done
need_for 4 --draws-conf "$draws_conf"
need_for 5 --head-conf "$head_conf"
[ "$scratch" = false ] || need_for 7 --scratch-conf "$scratch_conf"
[ "$finetune" = false ] || need_for 8 --finetune-conf "$finetune_conf"

if at_stage 1 "data folder, checked against the corpus's known counts"; then
  [ -n "$corpus" ] || die "stage 1 needs --corpus DIR, the folder that holds Session1 to Session5"
  local/prepare_iemocap.py --allow-partial "$allow_partial" --simulated "$simulated" "$corpus" "$data"
  validate-data "$data"
fi

if at_stage 2 "features"; then
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --config "$fbank_conf" "$data"
fi
check_feats 3 8 "$fbank_conf" "$data"

if at_stage 3 "folds: leave one session out"; then
  for n in $exp; do
    make-folds --scheme loso --label-map "conf/labels.exp$n" "$data" "$work/exp/exp$n/folds"
  done
fi

if at_stage 4 "draws of the frozen trunk, for all folds and experiments"; then
  for s in $seeds; do
    draws=$(run_of "$work/exp/draws" "$s")
    $train_cmd "$draws/log/embed.log" \
      embed-segments --config "$draws_conf" --seed "$s" "${compute[@]}" \
        "$init" "scp:$data/feats.scp" "ark,scp:$draws/draws.ark,$draws/draws.scp"
  done
fi

if at_stage 5 "transfer: a head for each held-out session, on the frozen trunk"; then
  for s in $seeds; do
    draws=$(run_of "$work/exp/draws" "$s") sets=()
    for n in $exp; do
      folds=$work/exp/exp$n/folds dir=$(run_of "$work/exp/exp$n" "$s" "$folds")
      sets+=("$folds/utt2label" "$folds/utt2fold" "$dir")
    done
    # One job for all folds and experiments, which reads the draws once.
    $train_cmd "$draws/log/transfer.log" \
      transfer-head --config "$head_conf" --seed "$s" "${compute[@]}" "$init" "scp:$draws/draws.scp" "${sets[@]}"
  done
fi

if at_stage 6 "scores with transfer"; then
  for n in $exp; do
    folds=$work/exp/exp$n/folds dir=$work/exp/exp$n
    score_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
      --data "$data" "$data/feats.scp" "$folds" "$dir"
  done
fi

if [ "$scratch" = true ] && at_stage 7 "from scratch: the same network without transfer"; then
  for n in $exp; do
    folds=$work/exp/exp$n/folds dir=$work/exp/exp${n}_scratch
    for s in $seeds; do
      run=$(run_of "$dir" "$s" "$folds")
      train_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
        "scp:$data/feats.scp" "$folds" "$run" --config "$scratch_conf" --seed "$s"
    done
    score_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
      --data "$data" "$data/feats.scp" "$folds" "$dir"
  done
fi

if [ "$finetune" = true ] && at_stage 8 "fine-tuning: transfer of the whole network"; then
  for n in $exp; do
    folds=$work/exp/exp$n/folds dir=$work/exp/exp${n}_finetune
    for s in $seeds; do
      run=$(run_of "$dir" "$s" "$folds")
      train_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
        "scp:$data/feats.scp" "$folds" "$run" --config "$finetune_conf" --seed "$s" --init "$init"
    done
    score_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
      --data "$data" "$data/feats.scp" "$folds" "$dir"
  done
fi

if at_stage 9 "report: tables and figures, beside the paper's"; then
  make-report --data "$data" "$work/exp" "$work/exp/report"
fi
