# What every recipe's path.sh ends with. Usage, as the whole of egs/CORPUS/path.sh:
#
#   SERTK_ROOT=${SERTK_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
#   . "$SERTK_ROOT/egs/common/path.sh"
#
# Puts the binaries (bin/), utils/ and steps/ on PATH, the checkout's python in front of the system's where there is
# one, and the checkout on python's module path, for the scripts in local/. A recipe that was copied to another place
# needs nothing but SERTK_ROOT in its environment.
# shellcheck shell=bash

if [ ! -x "$SERTK_ROOT/bin/launch" ]; then
  echo "path.sh: ERROR: no sertk checkout at $SERTK_ROOT (set SERTK_ROOT to where it is)" >&2
  exit 1
fi
[ ! -x "$SERTK_ROOT/.venv/bin/python3" ] || PATH=$SERTK_ROOT/.venv/bin:$PATH
PATH=$SERTK_ROOT/bin:$SERTK_ROOT/egs/common/utils:$SERTK_ROOT/egs/common/steps:$PATH
PYTHONPATH=$SERTK_ROOT${PYTHONPATH:+:$PYTHONPATH}
# Tables and lists are sorted byte by byte, and joined on that order.
LC_ALL=C
export SERTK_ROOT PATH PYTHONPATH LC_ALL
