#!/usr/bin/env bash
# openSMILE's eGeMAPS functionals and a linear SVM, C chosen within the training folds.
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"
. "$(dirname "$0")/../opensmile.sh"
opensmile_svm eGeMAPSv02
