# Sourced by every recipe's path.sh. Puts bin/, utils/ and steps/ on PATH, the checkout's Python before the system's if
# there is one, and the checkout on PYTHONPATH for the scripts in local/.
# shellcheck shell=bash

if [ -x "$SERTK_ROOT/.venv/bin/python3" ]; then
  PATH=$SERTK_ROOT/.venv/bin:$PATH
  PYTHONPATH= # do not mix its packages with others (module load on a cluster)
fi
PATH=$SERTK_ROOT/bin:$SERTK_ROOT/egs/common/utils:$SERTK_ROOT/egs/common/steps:$PATH
PYTHONPATH=$SERTK_ROOT${PYTHONPATH:+:$PYTHONPATH}
# Tables and lists are sorted and joined in byte order.
LC_ALL=C
export SERTK_ROOT PATH PYTHONPATH LC_ALL
