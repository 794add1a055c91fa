# Functions of the systems level, level-frozen, level-finetune, segment-mean, speaker-norm and frozen-aux, after system.sh.
# shellcheck shell=bash disable=SC2154  # variables of system.sh

# level_feats: features that are not normalised by segments, in a data folder of their own, DATA/level; once for all runs and
# systems, computed again if wav.scp is newer.
level_feats() {
  [ "$data/level/feats.scp" -nt "$data/wav.scp" ] && return
  combine-data "$data/level" "$data"
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --cmvn false --config "$conf/level.fbank.conf" "$data/level"
}

# raw_feats: those of the front end of --init before normalisation, in a data folder of their own, $data/raw; computed
# again if wav.scp is newer.
raw_feats() {
  [ "$data/raw/feats.scp" -nt "$data/wav.scp" ] && return
  combine-data "$data/raw" "$data"
  { cat "$(fbank_conf_of "$init")" && echo "--allow-resample=true"; } >"$data/raw/fbank.conf"
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --cmvn false --config "$data/raw/fbank.conf" "$data/raw"
}
