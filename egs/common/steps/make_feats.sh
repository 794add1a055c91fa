#!/usr/bin/env bash
# Log-mel features for a data folder, normalised segment by segment unless --cmvn is false, in parallel jobs.
#
# usage: make_feats.sh [--cmd run-local] [--nj 4] [--config conf/fbank.conf] [--cmvn true] [--compress cm2]
#                      [--max-skip 0.05] DATA-DIR [FEATS-DIR]
# e.g.: make_feats.sh --cmd "$feats_cmd" --nj 8 --config conf/fbank.conf data/train
#
# Reads DATA-DIR/wav.scp (and segments, and the utt2perturb of perturb-data), writes DATA-DIR/feats.scp and
# utt2num_frames; the archives go to FEATS-DIR (default DATA-DIR/feats). The bytes do not depend on --nj. As in Kaldi's
# make_fbank.sh, a missing or damaged file or a failed pipe costs only its segments, unless more than --max-skip of all
# are skipped. --config is for make-fbank; without it make-fbank's own defaults apply. --cmvn=false may also be one of its
# lines, which is how a recipe's --fbank-conf chooses features that are not normalised.
#
# A rerun keeps the archives if no segment was skipped and what they were computed from is the same: recordings (by size and
# time), lists, options and the code of the front end, whose digest is in FEATS-DIR/made_of. FEATS-DIR/fbank.conf is a copy
# of --config, with which a recipe that starts after the features compares its own (check_feats in recipe.sh).
set -euo pipefail
export LC_ALL=C

cmd=run-local nj=4 config='' cmvn='' compress=cm2 max_skip=0.05
. sertk_options.sh
. recipe.sh
[ $# -eq 1 ] || [ $# -eq 2 ] || { "$0" --help >&2; exit 2; }
data=$1 feats=${2:-$1/feats}

need "$data/wav.scp"
[ -z "$config" ] || need "$config"
[ -n "$cmvn" ] || cmvn=$(sed -n 's/^--cmvn=//p' ${config:+"$config"} </dev/null | tail -n1)
cmvn=${cmvn:-true}
recordings=$data/wav.scp
[ ! -e "$data/segments" ] || recordings=$data/segments
total=$(wc -l <"$recordings")
# Every job needs a segment.
[ "$nj" -le "$total" ] || nj=$total

mkdir -p "$feats"
feats=$(cd "$feats" && pwd)
archives=()
for job in $(seq "$nj"); do archives+=("$feats/feats.$job."{ark,scp,manifest} "$feats/utt2num_frames.$job"); done
# With the folder, since its scripts name it: one that was moved or copied has archives of its own.
made_of=$(inputs_of "$data" "$config" "$cmvn" "$compress" "$max_skip" "$nj" "$feats")
# Old scripts would point into archives that are about to be replaced.
rm -f "$data/feats.scp" "$data/utt2num_frames"
kept=', kept: computed from the same recordings and settings'
if ! is_made "$feats/made_of" "$made_of" "${archives[@]}"; then
  kept=''
  rm -f "$feats"/feats.*.{ark,scp,manifest} "$feats"/{utt2num_frames.*,made_of,fbank.conf}
  split-data --print-args=false --verbose 0 --per-utt true "$data" "$nj"
  split=$data/split${nj}utt
  segments=()
  [ ! -e "$data/segments" ] || segments=(--segments "$split/JOB/segments")
  perturb=()
  if [ -e "$data/utt2perturb" ]; then
    perturb=(--utt2perturb "$split/JOB/utt2perturb")
    # A job may have no perturbed utterance, and then no list.
    for job in $(seq "$nj"); do touch "$split/$job/utt2perturb"; done
  fi
  $cmd JOB=1:"$nj" "$feats/log/make_feats.JOB.log" \
    make-fbank ${config:+--config "$config"} --cmvn "$cmvn" --compress "$compress" --max-skip "$max_skip" \
    "${segments[@]}" "${perturb[@]}" --write-num-frames "ark,t:$feats/utt2num_frames.JOB" \
    "scp,p:$split/JOB/wav.scp" "ark,scp:$feats/feats.JOB.ark,$feats/feats.JOB.scp"
fi

# The archives stay in place: the table is a script over all of them.
scripts=() lengths=()
for job in $(seq "$nj"); do
  scripts+=("$feats/feats.$job.scp") lengths+=("$feats/utt2num_frames.$job")
done
sort "${lengths[@]}" >"$data/utt2num_frames.tmp"
sort "${scripts[@]}" >"$data/feats.scp.tmp"
done=$(wc -l <"$data/feats.scp.tmp")
awk -v done="$done" -v total="$total" -v most="$max_skip" 'BEGIN { exit !(total - done <= most * total) }' ||
  die "$data: features for $done of $total segments only, see $feats/log"
cat ${config:+"$config"} >"$feats/fbank.conf" </dev/null
mv "$data/utt2num_frames.tmp" "$data/utt2num_frames"
mv "$data/feats.scp.tmp" "$data/feats.scp"
[ "$done" -lt "$total" ] || echo "$made_of" >"$feats/made_of"
echo "make_feats.sh: $data: features for $done of $total segments$kept"
