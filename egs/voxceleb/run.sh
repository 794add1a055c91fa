#!/usr/bin/env bash
# Speaker network of 7205 speakers, trained on VoxCeleb1 and VoxCeleb2; its equal error rate on VoxCeleb1-O.
#
# usage: ./run.sh [--voxceleb1 DIR] [--voxceleb2 DIR] [options]
# e.g.: ./run.sh --voxceleb1 /corpora/voxceleb1 --voxceleb2 /corpora/voxceleb2 --num-gpus 4
#       ./run.sh --voxceleb1 /corpora/voxceleb1 --voxceleb2 /corpora/voxceleb2 --config conf/paper.conf
#
#   --voxceleb1 DIR      holds dev/wav and test/wav, or all in wav; without it no trials are scored
#   --voxceleb2 DIR      holds dev/aac (m4a, read through ffmpeg), or dev/wav
#   --trials FILE        the trial list [veri_test2.txt in VoxCeleb1's folder]
#   --perturb-conf FILE  train on perturbed copies too: settings of perturb-data [conf/perturb.conf]; with '' none
#   --musan DIR --rirs DIR
#                        MUSAN and RIRS_NOISES for the copies; without them noise and rooms are synthetic, and babble is
#                        of the training speakers
#   --work DIR           where data/ and exp/ are written [this folder]
#   --stage 1 --stop-stage 5
#     1 data folders  2 features  3 training, large-margin fine-tuning  4 embeddings of the test set  5 equal error rate
#   --allow-partial true continue with incomplete corpora; results are stamped PARTIAL
#   --simulated true     the corpus is simulated; results are stamped SIMULATED
#   --speaker-conf FILE --fbank-conf FILE
#                        settings of train-resnet [conf/margin.conf] and make-fbank
#   --large-margin-conf FILE
#                        fine-tune the network with these settings, and score that one [conf/large-margin.conf]; with '' none
#   --num-gpus 1         training processes, one per GPU, that share every batch
#   --nj 32 --device cpu|cuda|cuda:N --seed 0
#                        feature jobs, device
#   --config FILE        lines of --name=value with any of these; conf/paper.conf is the paper's training
#
# Results: exp/resnet34/final.pt; fine-tuned, with the scores: exp/resnet34_lm/{final.pt,RESULTS,results.json}
set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$(dirname "$0")/cmd.sh"

voxceleb1='' voxceleb2='' trials='' work='' perturb_conf=conf/perturb.conf musan='' rirs='' stage=1 stop_stage=5 stamp=''
allow_partial=false simulated=false num_gpus=1 nj=32 device='' seed=0
fbank_conf=$SERTK_ROOT/egs/common/conf/fbank.conf speaker_conf=conf/margin.conf large_margin_conf=conf/large-margin.conf
. sertk_options.sh
. recipe.sh
[ $# -eq 0 ] || die "unexpected argument '$1' (see run.sh --help)"
enter_recipe voxceleb1 voxceleb2 trials work musan rirs
work=${work:-.}
train=$work/data/train test=$work/data/test dir=$work/exp/resnet34
[ -z "$perturb_conf" ] || train=$work/data/train_perturbed
compute=(${device:+--device "$device"})
ranks=()
[ "$num_gpus" -le 1 ] || ranks=(run-ranks "$num_gpus")

if at_stage 1 "data folders for training and for the trials, perturbed copies"; then
  local/prepare_voxceleb.py ${voxceleb1:+--voxceleb1 "$voxceleb1"} ${voxceleb2:+--voxceleb2 "$voxceleb2"} \
    ${trials:+--trials "$trials"} --allow-partial "$allow_partial" --simulated "$simulated" "$work/data"
  if [ -n "$perturb_conf" ]; then
    sounds=(--noise synthetic --babble own) rooms=synthetic
    if [ -n "$musan" ]; then
      local/prepare_musan.py --allow-partial "$allow_partial" "$musan" "$work/data"
      sounds=(--noise "$work/data/musan_noise" --music "$work/data/musan_music" --babble "$work/data/musan_speech")
    fi
    if [ -n "$rirs" ]; then
      rooms=$work/data/rirs
      local/prepare_rirs.py --allow-partial "$allow_partial" "$rirs" "$rooms"
    fi
    perturb-data --config "$perturb_conf" --seed "$seed" "${sounds[@]}" --rir "$rooms" "$work/data/train" "$train"
  fi
  validate-data "$train"
fi

if at_stage 2 "features"; then
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --config "$fbank_conf" "$train"
  [ ! -e "$test" ] || make_feats.sh --cmd "$feats_cmd" --nj "$nj" --config "$fbank_conf" "$test"
fi

if at_stage 3 "speaker network, and its fine-tuning with a large margin"; then
  $train_cmd "$dir/log/train.log" "${ranks[@]}" \
    train-resnet --config "$speaker_conf" --seed "$seed" "${compute[@]}" "scp:$train/feats.scp" "$train/utt2spk" "$dir"
  if [ -n "$large_margin_conf" ]; then
    $train_cmd "${dir}_lm/log/train.log" "${ranks[@]}" \
      train-resnet --config "$large_margin_conf" --init "$dir/final.pt" --seed "$seed" "${compute[@]}" \
        "scp:$train/feats.scp" "$train/utt2spk" "${dir}_lm"
  fi
fi
[ -z "$large_margin_conf" ] || dir=${dir}_lm

[ -e "$test" ] || stop_stage=3 # VoxCeleb2 alone has no trials

if at_stage 4 "embeddings of the test recordings"; then
  $train_cmd "$dir/log/embed.log" \
    embed-segments "${compute[@]}" "$dir/final.pt" "scp:$test/feats.scp" "ark,scp:$dir/test.ark,$dir/test.scp"
fi

if at_stage 5 "equal error rate"; then
  score-trials --utt2spk "$test/utt2spk" --json "$dir/results.json" "$test/trials" "scp:$dir/test.scp" |
    tee "$dir/RESULTS"
fi
