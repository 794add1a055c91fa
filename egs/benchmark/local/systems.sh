# Functions of run.sh, run_inflation.sh and run_robustness.sh: training, scoring and reports of systems in folds of corpora.
# shellcheck shell=bash disable=SC2154  # variables of these scripts

# Systems whose result depends on the seed.
seeded=" frozen frozen-aux frozen-attentive scratch finetune level level-frozen level-finetune level-perturbed"
seeded+=" segment-mean speaker-norm unnormalised "

is_seeded() { [[ $seeded == *" $1 "* ]]; }

# script_of SYSTEM: its script in local/systems; that of NAME-speaker is that of NAME.
script_of() {
  case $1 in
    *=scp:*) echo local/systems/vectors.sh ;;
    *=*+*) echo local/systems/fusion.sh ;;
    *) echo "local/systems/${1%-speaker}.sh" ;;
  esac
}

# by_speaker SYSTEM: whether its vectors are to be normalised by speaker.
by_speaker() { [[ ${1%%=*} == *-speaker && ( $1 != *=* || $1 == *=scp:* ) ]]; }

# absolute_vectors HERE: in $systems, the paths of vectors are as the other paths relative to the user's folder HERE.
absolute_vectors() {
  systems=" $systems"
  while [[ $systems =~ (.*=scp:)([^/].*) ]]; do
    systems="${BASH_REMATCH[1]}$1/${BASH_REMATCH[2]}"
  done
}

# pairs_of "NAME=FILE …": a pair on each line. Words without NAME= belong to the FILE before, whose name has spaces.
pairs_of() {
  tr '\n' ' ' <<<"$1" | sed -E 's/ +$//; s/(^| +)([A-Za-z0-9_]+=)/\n\2/g' | sed '/^ *$/d'
}

# check_corpora NAMES: each once, and none that is another folder of data/ or exp/.
check_corpora() {
  local name seen=' '
  for name in $1; do
    [[ " cross robustness " != *" $name "* ]] || die "no corpus can be called $name: it is a folder of results"
    [[ $seen != *" $name "* ]] || die "two corpora are called $name"
    seen+="$name "
  done
}

# check_systems SYSTEMS [EXP]: stops if one cannot be trained, before the others are. Parts of fusions may also be in EXP/CORPUS.
check_systems() {
  local system name part seen=' '
  for system in $1; do
    name=${system%%=*}
    [ -x "$(script_of "$system")" ] || die "there is no system $system ($(script_of "$system"); see run.sh --help)"
    [[ $name =~ ^[A-Za-z0-9_.-]+$ ]] || die "'$name' cannot be the name of a system"
    [[ " folds inflation report robustness " != *" $name "* ]] || die "no system can be called $name: it is a folder of results"
    [[ $seen != *" $name "* ]] || die "two systems are called $name"
    [[ $system == *=scp:* || $system != *=*+* ]] || check_parts "$system" "$seen" "${2-}"
    if by_speaker "$system"; then
      [[ " resemblyzer opensmile-egemaps opensmile-compare frozen-stats " == *" ${system%-speaker} "* || $system == *=scp:* ]] ||
        die "$system: ${system%-speaker} is no system of vectors, which can be normalised by speaker"
    fi
    seen+="$name "
    case $system in
      frozen* | finetune) [ -n "$init" ] || die "$system needs --init MODEL" ;;
      level-frozen | level-finetune) [ -n "$level_init" ] || die "$system needs --level-init MODEL" ;;
      *:inner)
        for part in $(tr + ' ' <<<"${system//:inner/}"); do
          ! is_seeded "${part#*=}" || die "$system: ${part#*=} has no scores of its training folds: give :folds"
        done
        ;;
    esac
  done
}

# check_parts FUSION EARLIER EXP: each is one of the EARLIER systems, or has been put into EXP, if it is given, of every corpus.
check_parts() {
  local part corpus parts=${1#*=}
  for part in $(tr + ' ' <<<"${parts%%:*}"); do
    [[ $2 != *" $part "* ]] || continue
    for corpus in $corpora; do
      [ -n "$3" ] && [ -e "$3/$corpus/$part" ] || die "$1: name $part before it in --systems"
    done
  done
}

# settings_of SYSTEM: the files of --conf that it reads.
settings_of() { sed -n 's/^# Settings: //p' "$(script_of "$1")"; }

# need_settings STAGE SYSTEMS: stops if STAGE will run and a network, vectors or a file of settings of a system cannot be read.
need_settings() {
  local system name corpus
  [ -d "$conf" ] || die "--conf: there is no folder $conf"
  for system in $2; do
    case $system in
      *=scp:*)
        for corpus in $corpora; do name=${system#*=scp:} && need_for "$1" "${system%%=*}" "${name//CORPUS/$corpus}"; done
        ;;
      frozen* | finetune) need_for "$1" --init "$init" ;;
      level-frozen | level-finetune) need_for "$1" --level-init "$level_init" ;;
    esac
    for name in $(settings_of "$system"); do
      need_for "$1" --conf "$conf/$name" "${system%%=*} needs it"
    done
  done
}

# needs_features SYSTEMS: whether one of them is a network on log-mel features.
needs_features() {
  local system
  for system in $1; do
    case $system in frozen* | scratch | finetune) return 0 ;; esac
  done
  return 1
}

# call_system SYSTEM OPTION… DATA FOLDS DIR: its script, with the options of run.sh.
call_system() {
  local system=$1 what=()
  shift
  [[ $system != *=* ]] || what=(--what "${system#*=}")
  ! by_speaker "$system" || what+=(--by-speaker true)
  "$(script_of "$system")" "${what[@]}" --conf "$conf" ${init:+--init "$init"} ${level_init:+--level-init "$level_init"} \
    ${device:+--device "$device"} --nj "$nj" --num-threads "$num_threads" "$@"
}

# train_system SYSTEM DATA EXP: writes EXP/SYSTEM/FOLD/scores.ark, or EXP/SYSTEM/seedN/FOLD/scores.ark of several runs.
train_system() {
  local s dir
  for s in $(is_seeded "$1" && echo "$seeds" || echo "$seed"); do
    dir=$3/${1%%=*}
    ! is_seeded "$1" || dir=$(run_of "$dir" "$s")
    only_folds "$dir" "$3/folds"
    call_system "$1" --seed "$s" "$2" "$3/folds" "$dir"
  done
}

# test_system SYSTEM DATA EXP TO: the posteriors of other DATA by all runs of EXP/SYSTEM, in the same folders of TO.
test_system() {
  local models=$3/${1%%=*} runs run
  runs=("$models"/seed*/)
  [ -d "${runs[0]}" ] || runs=("$models/")
  for run in "${runs[@]%/}"; do
    only_folds "$4${run#"$3"}" "$3/folds"
    call_system "$1" --models "$run" "$2" "$3/folds" "$4${run#"$3"}"
  done
}

# score_system FOLDS DIR [OPTIONS]
score_system() {
  local folds=$1 dir=$2
  shift 2
  rm -f "$dir/results.json" "$dir/RESULTS" # if scoring fails, no results of an earlier call may remain
  score-loso "$@" --json "$dir/results.json" "$folds/utt2label" "$folds/utt2fold" "$dir" >"$dir/RESULTS.tmp"
  mv "$dir/RESULTS.tmp" "$dir/RESULTS"
  head -n1 "$dir/RESULTS"
}

# need_results: those of all systems in all corpora, which run.sh has written.
need_results() {
  local corpus system
  for corpus in $corpora; do
    for system in $systems; do
      need "$work/exp/$corpus/${system%%=*}/results.json" "run.sh --systems '$system' makes it"
    done
  done
}

# compare_conditions WHAT: of each corpus, the differences of every system between conditions, in exp/CORPUS/WHAT/RESULTS
# and exp/CORPUS/WHAT/SYSTEM.json. The script's conditions_of CORPUS SYSTEM sets $pairs to NAME=DIR of its conditions; the
# others are compared with the first.
compare_conditions() {
  local corpus system name out pairs
  for corpus in $corpora; do
    out=$work/exp/$corpus/$1
    for system in $systems; do
      name=${system%%=*}
      conditions_of "$corpus" "$name"
      local/differences.py --title "$corpus, $name" --json "$out/$name.json" "$work/exp/$corpus/folds" "${pairs[@]}"
      echo
    done | tee "$out/RESULTS.tmp"
    mv "$out/RESULTS.tmp" "$out/RESULTS"
  done
}

# write_reports: of each corpus, with all that is there so far; the systems are compared with $against, if it has results.
write_reports() {
  local corpus reference
  for corpus in $corpora; do
    reference=()
    [ ! -e "$work/exp/$corpus/$against/results.json" ] || reference=(--against "$against")
    make-report "${reference[@]}" --data "$work/data/$corpus" "$work/exp/$corpus" "$work/exp/$corpus/report"
  done
}

# shared_labels WORK ONE OTHER: the labels of the folds of both corpora.
shared_labels() {
  comm -12 <(sort "$1/exp/$2/folds/labels.txt") <(sort "$1/exp/$3/folds/labels.txt")
}

# share_labels WORK ONE OTHER: whether there are two or more.
share_labels() {
  [ "$(shared_labels "$@" | wc -l)" -ge 2 ] && return
  echo "run.sh: $2 and $3 share fewer than two labels: left out" >&2
  return 1
}

# name_ids CORPUS DATA COPY: a copy of the lists of DATA with CORPUS- before all ids: equal names of two corpora are not the
# same speaker, and speakers and utterances of both sort alike.
name_ids() {
  local file name id='[^[:space:]]+'
  rm -rf "$3"
  mkdir -p "$3"
  for file in "$2"/*; do
    name=${file##*/}
    case $name in
      spk2utt) ;;
      utt2spk | utt2uniq | segments) sed -E "s/^($id)[[:space:]]+/$1-\\1 $1-/" "$file" >"$3/$name" ;;
      wav.scp | feats.scp | text | utt2* | spk2* | reco2*) sed "s/^/$1-/" "$file" >"$3/$name" ;;
      *) [[ ! $name =~ ^[A-Z-]+$|^frame_shift$ ]] || cp "$file" "$3" ;; # stamps
    esac
  done
}

# combine_pair WORK ONE OTHER DATA: both corpora in one data folder, each a split, with the labels that both have.
combine_pair() {
  local shared name
  shared=$(shared_labels "$1" "$2" "$3")
  name_ids "$2" "$1/data/$2" "$4.parts/$2"
  name_ids "$3" "$1/data/$3" "$4.parts/$3"
  combine-data "$4" "$4.parts/$2" "$4.parts/$3"
  for name in "$2" "$3"; do
    sed "s/^/$name-/" "$1/exp/$name/folds/utt2label"
  done | sort | awk 'NR == FNR { shared[$1]; next } $2 in shared' <(echo "$shared") - >"$4/utt2label.tmp"
  mv "$4/utt2label.tmp" "$4/utt2label"
  for name in "$2" "$3"; do
    awk -v name="$name" '{ print $1, name }' "$4.parts/$name/utt2spk"
  done | sort >"$4/utt2split"
  fix-data "$4" # without the utterances of other labels, which split-data would miss
}

# score_directions EXP SYSTEM ONE OTHER: the test on each corpus alone, by the networks trained on the other.
score_directions() {
  local name number=0 folds run part tested
  for name in "$3" "$4"; do
    number=$((number + 1))
    folds=$1/folds.$name tested=$1/$2/tested_on_$name
    mkdir -p "$folds"
    cp "$1/folds/"{labels.txt,scheme.json,utt2spk} "$folds"
    awk -v n="$number" '$2 == n' "$1/folds/utt2fold" >"$folds/utt2fold"
    awk 'NR == FNR { test[$1]; next } $1 in test' "$folds/utt2fold" "$1/folds/utt2label" >"$folds/utt2label"
    # Of each training run only the fold whose test is this corpus.
    for run in "$1/$2" "$1/$2"/seed*; do
      [ -e "$run/$number/scores.ark" ] || continue
      part=$tested.scores/$(realpath --relative-to="$1/$2" "$run")
      mkdir -p "$part"
      ln -sfr "$run/$number/"scores.* "$part"
    done
    score-loso --json "$tested.json" "$folds/utt2label" "$folds/utt2fold" "$tested.scores" >"$tested"
    echo "tested on $name: $(head -n1 "$tested")"
  done
}
