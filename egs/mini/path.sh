# Sourced by run.sh: where sertk is. A recipe copied elsewhere needs SERTK_ROOT in its environment.
# shellcheck shell=bash
SERTK_ROOT=${SERTK_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
# shellcheck source=../common/path.sh
. "$SERTK_ROOT/egs/common/path.sh"
