# Options for a shell script: sets variables that already have a default.
#
#   #!/usr/bin/env bash
#   # What the script does. This comment is what --help prints.
#   set -euo pipefail
#   stage=1 nj=4 fine_tune=false init=
#   . sertk_options.sh          # found through PATH, without arguments; leaves the other arguments in "$@"
#
#   ./run.sh --stage 3 --nj=2 --fine-tune true --config my.conf FILE
#
# --name value and --name=value set $name (- is read as _); a value that starts with -- needs the second form. An option
# whose default is true or false accepts only these, and is true without a value (--status). --config FILE reads lines
# of --name=value (# comments; LF or CRLF), and the command line wins; in a script with a variable named config, --config
# is an ordinary option. -- ends the options; --version prints sertk's version.
# Errors are one line on stderr and exit 2. Values are never evaluated.
# shellcheck shell=bash

_option_error() {
  printf '%s: ERROR: %s (see %s --help)\n' "${0##*/}" "$1" "${0##*/}" >&2
  exit 2
}

# _option_set NAME VALUE WHERE: WHERE ("my.conf:3: " or empty) starts the message.
_option_set() {
  local _name=${1//-/_}
  # Lower case only, so that no option can reach PATH, IFS or LC_ALL.
  [[ $_name =~ ^[a-z][a-z0-9_]*$ && -v $_name ]] || _option_error "${3}there is no option --$1"
  if [[ ${!_name} =~ ^(true|false)$ && ! $2 =~ ^(true|false)$ ]]; then
    _option_error "${3}--$1 takes true or false, not '$2'"
  fi
  printf -v "$_name" '%s' "$2"
}

_option_config() {
  local _line _number=0
  [ -r "$1" ] || _option_error "--config: cannot read '$1'"
  while read -r _line || [ -n "$_line" ]; do
    _number=$((_number + 1)) _line=${_line%$'\r'}
    [[ $_line =~ ^(#|$) ]] && continue
    [[ $_line =~ ^--([A-Za-z0-9_-]+)=(.*)$ ]] || _option_error "$1:$_number: '$_line' is not --name=value"
    _option_set "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "$1:$_number: "
  done <"$1"
}

# _option_parse configs|others WORD…: reads --config, or all other options; $_option_words is the number of words
# that were options.
_option_parse() {
  local _what=$1 _name _variable _value _number
  shift
  _number=$#
  while [[ ${1-} == -?* ]]; do
    case $1 in
      --) shift; break ;;
      -h | --help) awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; exit 0 ;;
      --version)
        sed -n "s/__version__ = \"\(.*\)\"/${0##*/} (sertk) \1/p" "${BASH_SOURCE[0]%/*}/../../../sertk/__init__.py"
        exit 0
        ;;
      --*=*) _name=${1%%=*} _value=${1#*=} ;;
      --*)
        _name=$1 _variable=${1#--} _variable=${_variable//-/_}
        if [[ $# -ge 2 && $2 != --* ]]; then
          _value=$2
          shift
        elif [[ $_variable =~ ^[a-z][a-z0-9_]*$ && ${!_variable-} =~ ^(true|false)$ ]]; then
          _value=true
        else
          _option_error "$1 needs a value"
        fi
        ;;
      *) _option_error "there is no option $1" ;;
    esac
    shift
    if [[ $_name == --config && ! -v config ]]; then
      [[ $_what == others ]] || _option_config "$_value"
    elif [[ $_what == others ]]; then
      _option_set "${_name#--}" "$_value" ""
    fi
  done
  _option_words=$((_number - $#))
}

_option_parse configs "$@"
_option_parse others "$@"
shift "$_option_words"
unset _option_words
