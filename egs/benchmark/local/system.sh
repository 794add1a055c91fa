# Sourced by the scripts of systems, which are called as
#
#   local/systems/NAME.sh [--what W] [--by-speaker true] [--models DIR] [--init MODEL] [--level-init MODEL] [--conf DIR] \
#     [--seed 0] [--device D] [--nj 4] [--num-threads 1] DATA FOLD-DIR DIR
#
# with $train_cmd and $feats_cmd in the environment. Sets $data, $folds, $dir and the options; $compute are those of
# binaries that compute with torch. A system is trained in each fold of FOLD-DIR and writes the posteriors of its segments
# to DIR/FOLD/scores.ark. With --models nothing is trained: the models of that folder, an earlier DIR, predict DATA.
# The line "# Settings: " of a script names the files of --conf that it reads.
# shellcheck shell=bash disable=SC2034  # variables of the scripts
what='' by_speaker=false models='' init='' level_init='' conf=conf seed=0 device='' nj=4 num_threads=1
# For a call by hand.
# shellcheck source=../path.sh
command -v sertk_options.sh >/dev/null || . "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. sertk_options.sh
. recipe.sh
[ $# -eq 3 ] || { "$0" --help >&2; exit 2; }
data=$1 folds=$2 dir=$3
compute=(--num-threads "$num_threads" ${device:+--device "$device"})
train_cmd=${train_cmd:-run-local} feats_cmd=${feats_cmd:-run-local}
mkdir -p "$dir"

# trains: whether there is something to train.
trains() { [ -z "$models" ]; }

# predict_folds FEATS: the posteriors of every fold by its final.pt.
predict_folds() {
  predict_folds.sh --cmd "$train_cmd" --device "$device" --num-threads "$num_threads" --to "$dir" \
    "$1" "$folds" "${models:-$dir}"
}

# train_networks SCRIPT CONF [OPTION…]: a network for each fold on the features of SCRIPT. CONF.conf and options are
# train-resnet's.
train_networks() {
  local feats=scp:$1 settings=$conf/$2.conf
  shift 2
  trains || return 0
  train_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" \
    "$feats" "$folds" "$dir" --config "$settings" --seed "$seed" "$@"
}

# network_folds SCRIPT CONF [OPTION…]: the same, and their posteriors.
network_folds() {
  train_networks "$@"
  predict_folds "scp:$1"
}

# frozen_heads MODEL SCRIPT SETTINGS [OPTION…]: draws from the frozen trunk of MODEL, a head for each fold on them.
# SETTINGS is the beginning of the names of its draws.conf and head.conf; options are transfer-head's.
frozen_heads() {
  local model=$1 feats=$2 settings=$3
  shift 3
  trains || return 0
  $train_cmd --num-threads "$num_threads" "$dir/log/embed.log" \
    embed-segments --config "${settings}draws.conf" --seed "$seed" "${compute[@]}" \
      "$model" "scp:$feats" "ark,scp:$dir/draws.ark,$dir/draws.scp"
  $train_cmd --num-threads "$num_threads" "$dir/log/transfer.log" \
    transfer-head --config "${settings}head.conf" --seed "$seed" "${compute[@]}" "$@" \
      "$model" "scp:$dir/draws.scp" "$folds/utt2label" "$folds/utt2fold" "$dir"
}

# normalised SCRIPT: the script of vectors, with --by-speaker true less the mean of each speaker, those of the test too: results
# are stamped TRANSDUCTIVE. Deviations would need more recordings of a speaker (RESULTS.md).
normalised() {
  if [ "$by_speaker" = true ]; then
    $feats_cmd "$dir/log/cmvn.log" \
      cmvn-segment --norm-vars false --utt2group "$data/utt2spk" "scp:$1" "ark,scp:$dir/byspeaker.ark,$dir/byspeaker.scp" >&2 || return
    echo "$dir/byspeaker.scp"
  else
    echo "$1"
  fi
}

# linear_heads SCRIPT: logistic regression on vectors for each fold, and its posteriors. The weight decay is chosen within
# the training folds, of which there must be two for that.
linear_heads() {
  local choice=() vectors
  vectors=$(normalised "$1")
  [ "$(count_folds "$folds")" -lt 3 ] || choice=(--grid "$conf/linear.grid" --inner-scores true)
  if trains; then
    $train_cmd --num-threads "$num_threads" "$dir/log/transfer.log" \
      transfer-head --config "$conf/linear.conf" "${choice[@]}" --seed "$seed" "${compute[@]}" \
        none "scp:$vectors" "$folds/utt2label" "$folds/utt2fold" "$dir"
  fi
  predict_folds "scp:$vectors"
}
