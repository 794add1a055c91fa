# Function of the level system and of run_robustness.sh.
# shellcheck shell=bash disable=SC2154  # $feats_cmd and $nj of the script that sources this

# make_level_feats DATA CONF: features that are not normalised by segments, in a data folder of their own, DATA/level.
make_level_feats() {
  combine-data "$1/level" "$1"
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --cmvn false --config "$2/level.fbank.conf" "$1/level"
}
