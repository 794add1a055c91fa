"""Kaldi's conf/slurm.conf: sbatch options for the runner's options.

    command sbatch --export=PATH         options of every call
    option mem=* --mem-per-cpu $0        --mem 4G becomes --mem-per-cpu 4G
    option gpu=0 -p shared               --gpu 0
    default gpu=0                        default value

Source: Kaldi, egs/wsj/s5/utils/parallel/slurm.pl.
"""

import re
import shlex
from pathlib import Path

from jobs import Misuse


def sbatch_words(path: str, given: dict[str, str]) -> list[str]:
    """Return the arguments for sbatch.

    Args:
        path: The file.
        given: Values of the runner's options by name, without dashes (mem, num_threads).

    Raises:
        Misuse: If the file cannot be read, has an invalid line, or does not describe an option.
    """
    words, exact, general, given = None, {}, {}, dict(given)
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"--config {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    for number, line in enumerate(lines, 1):
        line = re.sub(r"\s*#.*", "", line).strip()
        if found := re.fullmatch(r"command\s+\S+\s*(.*)", line):
            words = shlex.split(found[1])
        elif found := re.fullmatch(r"option\s+([^=\s]+)=\*\s+(.+)", line):
            general[found[1]] = found[2]
        elif found := re.fullmatch(r"option\s+([^=\s]+)=(\S+)\s*(.*)", line):
            exact[found[1], found[2]] = found[3]
        elif found := re.fullmatch(r"default\s+([^=\s]+)=(\S+)", line):
            given.setdefault(found[1], found[2])
        elif line:
            raise Misuse(f"{path}:{number}: neither command, option nor default: '{line}'")
    if words is None:
        raise Misuse(f"{path}: has no line 'command sbatch …'")
    for name, value in given.items():
        if (name, value) in exact:
            words += shlex.split(exact[name, value])
        elif name in general:
            words += [word.replace("$0", value) for word in shlex.split(general[name])]
        elif (name, "*") not in exact:
            raise Misuse(f"{path}: does not describe --{name.replace('_', '-')} {value}")
    return words
