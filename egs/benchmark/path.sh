# Sourced by run.sh: finds sertk. A recipe that is copied elsewhere needs SERTK_ROOT in its environment.
# shellcheck shell=bash
SERTK_ROOT=${SERTK_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
[ -r "$SERTK_ROOT/egs/common/path.sh" ] || {
  echo "path.sh: ERROR: no sertk checkout at $SERTK_ROOT (set SERTK_ROOT to where it is)" >&2
  exit 1
}
# shellcheck source=../common/path.sh
. "$SERTK_ROOT/egs/common/path.sh"
