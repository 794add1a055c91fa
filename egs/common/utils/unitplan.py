"""The plan of a work in units, and how its units stand: what `units` works on (see there)."""

import fcntl
import hashlib
import json
import shlex
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from sertk.errors import SertkError
from sertk.kaldi.manifest import load_manifest


@dataclass
class Unit:
    """A paragraph of the plan."""

    name: str
    kind: str = ""
    needs: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    drops: list[str] = field(default_factory=list)
    code: str = ""
    do: str = ""

    @property
    def stage(self) -> str:
        return self.name.partition("/")[0]


class Plan:
    """DIR/plan, and how its units stand."""

    def __init__(self, folder: Path):
        self.folder, self.units = folder, read_plan(folder / "plan")
        self.prints: dict[str, list[str]] = {}

    def fingerprint(self, unit: Unit) -> list[str]:
        """All that decides what a unit gives, but the code: words that can be compared one by one."""
        if unit.name not in self.prints:
            words = without_threads(shlex.split(unit.do))
            for path in sorted(unit.reads, key=len, reverse=True):
                seen = any(path in word for word in words)
                words = [word.replace(path, content(path)) for word in words]
                words += [] if seen else [f"{Path(path).name}={content(path)}"]
            words = [word.replace(str(self.folder), "DIR") for word in words]
            for name in unit.needs:
                found = "\n".join(self.fingerprint(self.units[name]))
                words.append(f"{name}={hashlib.sha256(found.encode()).hexdigest()[:16]}")
            self.prints[unit.name] = words
        return self.prints[unit.name]

    def state(self, unit: Unit) -> dict:
        """What the last run left: {"state": "begun" | "done" | "failed", …}, or {}."""
        path = self.folder / "state" / f"{unit.name}.json"
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            raise SertkError(f"{path}: is damaged (without it the unit is run again)") from None

    def difference(self, unit: Unit) -> str:
        """In what the last run was of something else; "" where it was of this, or there was none."""
        state = self.state(unit)
        if not state:
            return ""
        digest, _, choice = unit.code.partition(" ")
        if state["code"] != digest and choice != "any":
            return f"code: {state['code']} before, {digest} now"
        before, now = state["fingerprint"], self.fingerprint(unit)
        pairs = zip([*before, *[""] * len(now)], [*now, *[""] * len(before)])
        return next((f"'{old}' before, '{new}' now" for old, new in pairs if old != new), "")

    def done(self, unit: Unit) -> bool:
        there = all((self.folder / path).exists() for path in [*unit.writes, *unit.drops])
        return there and self.state(unit).get("state") == "done" and not self.difference(unit)

    def pending(self) -> list[Unit]:
        """What has to be run for the units that no other needs: a unit whose successors are done is not missed."""
        needed = {name for unit in self.units.values() for name in unit.needs}
        missed: set[str] = set()
        found = []
        for unit in reversed(self.units.values()):
            if (unit.name not in needed or unit.name in missed) and not self.done(unit):
                missed.update(unit.needs)
                found.append(unit)
        return found[::-1]

    def running(self, unit: Unit) -> bool:
        try:
            with open(self.folder / "state" / f"{unit.name}.lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def read_plan(path: Path) -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    unit = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        word, _, rest = line.partition(" ")
        if word == "unit" and rest not in units:
            unit = units[rest] = Unit(rest)
        elif unit and word in ("needs", "reads", "writes", "drops"):
            getattr(unit, word).append(rest)
        elif unit and word in ("kind", "code", "do"):
            setattr(unit, word, rest)
        elif line:
            raise SertkError(f"{path}:{number}: is no line of a plan: {line}")
        if unit and word == "needs" and rest not in units:
            raise SertkError(f"{path}:{number}: {unit.name} needs {rest}, which is not planned before it")
    return units


def without_threads(words: list[str]) -> list[str]:
    """How many threads there are is no setting."""
    if "--num-threads" not in words:
        return words
    place = words.index("--num-threads")
    return words[:place] + words[place + 2 :]


@cache
def content(path: str) -> str:
    """A digest of a file: of a script the keys and, where archives have manifests, what these say of their content."""
    try:
        text = Path(path).read_bytes()
    except OSError:
        return "missing"
    if path.endswith(".scp"):
        lines = (line.partition(" ") for line in text.decode().splitlines())
        text = "".join(f"{key} {_entry(place)}\n" for key, _, place in lines).encode()
    return hashlib.sha256(text).hexdigest()[:16]


def _entry(place: str) -> str:
    archive, _, offset = place.rpartition(":")
    return f"{_archive(archive)}:{offset}" if archive else place


@cache
def _archive(path: str) -> str:
    """An archive's sha256 by its manifest; without one its name, size and time."""
    manifest = load_manifest(path)
    if manifest:
        return manifest.sha256
    found = Path(path).stat() if Path(path).exists() else None
    return f"{path} {found.st_size} {found.st_mtime}" if found else path
