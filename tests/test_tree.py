"""The tree's own rules: floors, bin/ and console_scripts in step."""

import ast
import configparser
import re
from functools import cache

from support import ROOT

# A floor may import from itself and from those below it (DESIGN: cli -> … -> errors).
FLOORS = [
    {"errors", "options"},
    {"atomic"},
    {"kaldi", "frontend", "datadir"},
    {"runtime"},
    {"data", "models"},
    {"scoring"},
    {"training"},
    {"runs"},
    {"jobs"},
    {"report"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}
# Third-party modules that only these floors import. frontend/resample.py alone knows torchaudio, and so torch.
TORCHAUDIO = "resample.py"
ONLY_IN = {
    "click": {"cli"},
    "tqdm": {"cli"},
    "torch": {"training", "runs", "jobs", "models", "data", "runtime"},
    "triton": {"models"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "onnx": {"models"},
    "onnxruntime": {"models"},
}


def modules():
    for path in sorted((ROOT / "sertk").rglob("*.py")):
        yield path, path.relative_to(ROOT / "sertk").parts[0].removesuffix(".py")


@cache
def imports(path):
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.append(node.module)
    return names


def test_imports_go_down_only():
    for path, floor in modules():
        for name in imports(path):
            if name.startswith("sertk.") and floor != "__init__":
                below = name.split(".")[1]
                assert LEVEL[below] <= LEVEL[floor], f"{path} imports {name}, which is above it"


def test_no_import_circles():
    """Neither at the top of a module nor inside a function."""
    graph = {}
    for path, _ in modules():
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        graph[name] = {target for target in imports(path) if target.startswith("sertk.")}
    done = set()

    def visit(name, trail):
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in graph.get(name, ()):
                visit(target, [*trail, name])
            done.add(name)

    for name in graph:
        visit(name, [])


def test_prediction_does_not_import_training():
    """predict-emotion, classify-audio and score-loso need no training engine."""
    graph = {".".join(p.relative_to(ROOT).with_suffix("").parts): set(imports(p)) for p, _ in modules()}
    reached, todo = set(), ["sertk.cli.predict_emotion", "sertk.cli.classify_audio", "sertk.cli.score_loso"]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += graph.get(name, ())
    # The settings are plain types that options are generated from.
    plain = {"sertk.training", "sertk.training.settings", "sertk.training.schedule", "sertk.training.grid"}
    assert not {name for name in reached if name.startswith("sertk.training")} - plain


def test_libraries_are_imported_only_on_their_floors():
    for path, floor in modules():
        for name in imports(path):
            top = name.split(".")[0]
            if path.name != TORCHAUDIO:
                assert floor in ONLY_IN.get(top, {floor}), f"{path} imports {name}"


def test_torchaudio_is_imported_in_one_module():
    with_torchaudio = [path.name for path, _ in modules() if "torchaudio" in {i.split(".")[0] for i in imports(path)}]
    assert with_torchaudio == [TORCHAUDIO]


def test_bin_and_console_scripts_are_in_step():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = {}
    for line in setup["options.entry_points"]["console_scripts"].split("\n"):
        if line:
            name, target = line.split(" = ")
            scripts[name] = target
    links = {path.name: path for path in (ROOT / "bin").iterdir() if path.name != "launch"}
    assert set(links) == set(scripts)
    for name, target in scripts.items():
        assert target == f"sertk.cli.{name.replace('-', '_')}:main"
        assert str(links[name].readlink()) == "launch"
        assert (ROOT / "sertk" / "cli" / f"{name.replace('-', '_')}.py").exists(), name


def test_every_module_has_its_test_file():
    """tests/ mirrors sertk/: sertk/kaldi/tables.py is tested in tests/kaldi/test_tables.py."""
    missing = []
    for path, _ in modules():
        place = path.relative_to(ROOT / "sertk")
        if path.name != "__init__.py" and not (ROOT / "tests" / place.parent / f"test_{path.name}").exists():
            missing.append(str(place))
    assert not missing


def test_test_names_have_60_letters_at_most():
    """What a name cannot say stands in the test's docstring."""
    long = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        names = re.findall(r"^ *def (test\w*)", path.read_text(), re.MULTILINE)
        long += (f"{path.relative_to(ROOT)}::{name}" for name in names if len(name) > 60)
    assert not long
