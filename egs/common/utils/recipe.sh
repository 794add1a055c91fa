# Functions of the recipes' run.sh; sourced through PATH, after sertk_options.sh.
#
#   stage=1 stop_stage=9 stamp=                                  # defaults, before sertk_options.sh
#   if at_stage 2 "features"; then … fi                          # 1 to 9: runs when stage <= 2 <= stop_stage
#   need "$data/feats.scp" "stage 2 makes it"                    # a missing input is one line and exit 1
#   need_for 6 --head-conf "$head_conf"                          # the same at once, if stage 6 will run
#   die "no such experiment: $n"                                 # run.sh: ERROR: …, exit 1
#   enter_recipe corpus init work                                # cd to the script's folder; makes $corpus … absolute
#   absolute corpus init work                                    # makes $corpus … absolute, unless they are empty
#   num_folds=$(count_folds exp/exp1/folds)                      # folds of a make-folds folder, for JOB=1:"$num_folds"
#   nj=$(fold_jobs "$folds" "$cmd" "$num_threads" "$device")     # jobs that share the folds; folds_of_job "$nj" "$folds"
#   seeds=$(seeds_of "$seed" "$repeats")                         # the seeds of the training runs
#   dir=$(run_of exp/exp1 "$s" exp/exp1/folds)                   # exp/exp1, or exp/exp1/seed$s of several runs
#   only_runs exp/exp1 "$seeds"                                  # exp/exp1 has no other training runs than these
#   only_folds exp/exp1 exp/exp1/folds                           # exp/exp1 has models and scores of no other folds than these
#   inputs=$(inputs_of data/all conf/fbank.conf "$nj")           # a digest of what features are computed from
#   is_made feats/made_of "$inputs" feats/feats.1.ark || …        # whether the file has this digest, and the others are there
#   check_feats 3 8 conf/fbank.conf data/all                     # a call that starts at stage 3 to 8 has these features
#   keep_as exp/RESULTS local/table.py exp                       # shows what a command prints, and keeps it in a file
#
# A non-empty $stamp (SIMULATED, PARTIAL) is shown in every headline.
# shellcheck shell=bash

die() {
  printf '%s: ERROR: %s\n' "${0##*/}" "$1" >&2
  exit 1
}

# fbank_conf_of MODEL: the make-fbank conf that import-resnet wrote beside MODEL, or the recipes' own.
fbank_conf_of() {
  local beside=${1%.pt}.fbank.conf
  if [ -n "$1" ] && [ -e "$beside" ]; then echo "$beside"; else echo "$SERTK_ROOT/egs/common/conf/fbank.conf"; fi
}

need() {
  [ -e "$1" ] || die "$1 is missing${2:+ ($2)}"
}

# need_for STAGE OPTION FILE [HINT]: stops before the first stage if STAGE will run and the FILE of OPTION cannot be read; '' is
# no file.
need_for() {
  ! runs_stage "$1" || [ -z "$3" ] || { [ -r "$3" ] && [ ! -d "$3" ]; } ||
    die "$2: cannot read $(realpath -ms -- "$3")${4:+ ($4)}"
}

# Paths that the user gives are relative to the user's folder; the recipe's own are relative to the recipe's.
absolute() {
  local name
  for name in "$@"; do
    [ -z "${!name}" ] || printf -v "$name" '%s' "$(realpath -ms -- "${!name}")"
  done
}

enter_recipe() {
  absolute "$@"
  cd -- "$(dirname -- "$0")" || exit
}

# keep_as FILE COMMAND…: the file of an earlier call stays as it is if the command fails.
keep_as() {
  "${@:2}" | tee "$1.tmp"
  mv "$1.tmp" "$1"
}

count_folds() {
  need "$1/utt2fold" "make-folds writes it"
  cut -d' ' -f2 "$1/utt2fold" | sort -n | tail -n1
}

# fold_jobs FOLD-DIR CMD NUM-THREADS DEVICE: how many jobs share the folds. On this machine as many as its cores, or the GPUs that
# CMD divides among jobs (--gpu), can run at once; one on a single GPU, and on a cluster, whose cores are not known here.
fold_jobs() {
  local folds gpus=0 jobs=1
  folds=$(count_folds "$1")
  if [[ $2 == run-local* ]]; then
    [ "$4" = cpu ] || gpus=$(python3 "${BASH_SOURCE[0]%/*}/gpus.py" | wc -l)
    if [[ $2 =~ [[:space:]]--gpu[[:space:]=]+([1-9][0-9]*) ]]; then
      jobs=$((gpus / BASH_REMATCH[1]))
      [[ ! $2 =~ [[:space:]]--jobs-per-gpu[[:space:]=]+([1-9][0-9]*) ]] || jobs=$((jobs * BASH_REMATCH[1]))
    elif [ "$4" = cpu ] || [ "$gpus$4" = 0 ]; then
      jobs=$(($(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc) / $3))
    fi
  fi
  jobs=$((jobs > 1 ? jobs : 1))
  echo $((jobs < folds ? jobs : folds))
}

# folds_of_job JOBS FOLD-DIR: --fold of job JOB: JOB, JOB + JOBS, …, as words of its command, which bash computes there.
folds_of_job() {
  local folds
  folds=$(count_folds "$2")
  if [ "$1" -ge "$folds" ]; then echo JOB; else echo "\$(seq -s, JOB $1 $folds)"; fi
}

# seeds_of SEED REPEATS: SEED, SEED + 1, …
seeds_of() {
  [[ $1 =~ ^[0-9]+$ ]] || die "--seed is a number, not '$1'"
  [[ $2 =~ ^[1-9][0-9]*$ ]] || die "--repeats is a number of 1 or more, not '$2'"
  seq "$1" $(($1 + $2 - 1))
}

# only_runs DIR SEEDS: stops if DIR has another training run, of an earlier call: it would be scored with these.
only_runs() {
  local run
  for run in "$1"/seed*/; do
    run=${run%/}
    [[ ! -d $run || $'\n'$2$'\n' == *$'\n'"${run##*/seed}"$'\n'* ]] ||
      die "$run is no training run of this call: give the seeds of all runs, or move it away"
  done
}

# only_folds DIR FOLD-DIR: stops if DIR has models or scores of more folds than FOLD-DIR, of an earlier call: they would be
# scored with these.
only_folds() {
  local folder number
  number=$(count_folds "$2")
  for folder in "$1"/[0-9]*; do
    [[ ${folder##*/} =~ ^[0-9]+$ ]] && [ "${folder##*/}" -gt "$number" ] || continue
    [ ! -e "$folder/final.pt" ] && [ ! -e "$folder/scores.ark" ] ||
      die "$1 has fold ${folder##*/} of an earlier call, this one has $number folds: move $1/[0-9]* away, or give those folds again"
  done
}

# run_of DIR SEED [FOLD-DIR]: the folder of a training run of the system DIR. $repeats runs are read as one system
# (score-loso). With FOLD-DIR it may have no other folds (only_folds).
run_of() {
  local run=$1
  # shellcheck disable=SC2154  # the recipe's own variable
  if [ "$repeats" -eq 1 ]; then
    ! compgen -G "$1/seed*/" >/dev/null || die "$1 has several training runs: give --repeats, or another --work"
  else
    ! compgen -G "$1/[0-9]*/final.pt" >/dev/null || die "$1 has a single training run: move it away, or give another --work"
    # shellcheck disable=SC2154
    only_runs "$1" "$seeds"
    run=$1/seed$2
  fi
  [ -z "${3-}" ] || only_folds "$run" "$3"
  echo "$run"
}

# inputs_of DATA WORD…: a digest of what features of DATA are computed from: its lists, sizes and times of the files that they
# name, the words (of those that are files the content), and the code of the front end.
inputs_of() {
  local name list=$1/wav.scp
  {
    cat "${BASH_SOURCE[0]%/*}"/../../../sertk/frontend/*.py
    for name in "$1"/{wav.scp,segments,utt2perturb} "${@:2}"; do
      if [ -f "$name" ]; then sha256sum <"$name"; else echo "${name#"$1/"}"; fi
    done
    # Files that are a whole value, and those inside commands and perturbations.
    { cut -d' ' -f2- "$list" && cat "$list" "$1/utt2perturb" 2>/dev/null | tr ' =' '\n' | grep / || true; } | sort -u |
      { xargs -rd '\n' stat --format '%n %s %.Y' -- 2>/dev/null || true; }
  } | sha256sum | cut -d' ' -f1
}

# is_made FILE INPUTS OUTPUT…: whether FILE has the digest INPUTS (inputs_of), and all outputs are there.
is_made() {
  local output
  [ -e "$1" ] && [ "$(<"$1")" = "$2" ] || return 1
  for output in "${@:3}"; do
    [ -e "$output" ] || return 1
  done
}

# check_feats FIRST LAST CONF DATA…: stops if this call starts at one of the stages FIRST to LAST, which read features that the
# stage before FIRST makes, and those of a DATA were computed with other settings than CONF: make_feats.sh kept a copy.
check_feats() {
  local data settings name=$3 copy
  # shellcheck disable=SC2154  # the recipe's own variable
  [ "$stage" -ge "$1" ] && [ "$stage" -le "$2" ] || return 0
  [[ $name != /dev/fd/* ]] || name="those of this call"
  settings=$(settings_in "$3")
  for data in "${@:4}"; do
    copy=$data/feats/fbank.conf
    [ ! -e "$copy" ] || [ "$(settings_in "$copy")" = "$settings" ] ||
      die "$data/feats.scp: computed with other settings ($copy) than $name: start at stage $(($1 - 1)), or give the same again"
  done
}

# settings_in FILE: its lines, without comments and spaces.
settings_in() { sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$1"; }

# runs_stage N: whether N is among the stages of this call.
runs_stage() {
  local number
  # shellcheck disable=SC2154  # the recipe's own variables
  for number in "$stage" "$stop_stage"; do
    [[ $number =~ ^-?[0-9]+$ ]] || die "--stage and --stop-stage are numbers, not '$number'"
  done
  [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]
}

at_stage() {
  runs_stage "$1" || return 1
  printf '\n== %(%Y-%m-%d %H:%M:%S)T  stage %s: %s%s\n' -1 "$1" "${stamp:+[$stamp] }" "$2"
}
