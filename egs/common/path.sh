# What every recipe's path.sh ends with (egs/mini/path.sh is the whole of one).
# Puts the binaries (bin/), utils/ and steps/ on PATH, the checkout's python before the system's where there is one, and
# the checkout on python's module path, for the scripts in local/. A recipe that was copied to another place needs
# nothing but SERTK_ROOT in its environment.
# shellcheck shell=bash

if [ -x "$SERTK_ROOT/.venv/bin/python3" ]; then
  PATH=$SERTK_ROOT/.venv/bin:$PATH
  PYTHONPATH= # its packages are not mixed with others (module load on a cluster)
fi
PATH=$SERTK_ROOT/bin:$SERTK_ROOT/egs/common/utils:$SERTK_ROOT/egs/common/steps:$PATH
PYTHONPATH=$SERTK_ROOT${PYTHONPATH:+:$PYTHONPATH}
# Tables and lists are sorted byte by byte, and joined on that order.
LC_ALL=C
export SERTK_ROOT PATH PYTHONPATH LC_ALL
