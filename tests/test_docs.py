"""The documentation: links lead somewhere, commands have options that exist, every page is in the navigation."""

import importlib
import re
import shlex

import click
import pytest
from support import ROOT

BINARIES = {path.name for path in (ROOT / "bin").iterdir() if path.name != "launch"}
FILES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
FILES += sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "egs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in FILES if "/exp/" not in str(path)]
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def anchors(path):
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    page = ROOT / name
    for link in LINK.findall(page.read_text()):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page.parent / path if path else page
        assert target.exists(), f"{name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{name}: {link}"


@pytest.mark.parametrize("name", NAMES)
def test_prose_is_wrapped(name):
    """At 120 characters, or a few more. Tables and what is printed as it stands have the lines that they need."""
    text = re.sub(r"```.*?```", lambda block: re.sub(".", "", block[0]), (ROOT / name).read_text(), flags=re.DOTALL)
    lines = enumerate(text.splitlines(), 1)
    assert [number for number, line in lines if len(line) > 130 and not line.startswith(("|", "    "))] == []


def commands(text):
    """The calls of our binaries in the bash blocks of a page, as words."""
    for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"[|;]|&&| -- ", line):
                try:
                    words = shlex.split(part, comments=True)
                except ValueError:
                    continue
                named = [index for index, word in enumerate(words) if word.split("/")[-1] in BINARIES]
                if named and all("=" in word or word == "do" for word in words[: named[0]]):
                    yield words[named[0] :]


@pytest.mark.parametrize("name", NAMES)
def test_commands_have_options_that_exist(name):
    for binary, *words in commands((ROOT / name).read_text()):
        binary = binary.split("/")[-1]
        params = importlib.import_module(f"sertk.cli.{binary.replace('-', '_')}").main.params
        known = {flag for param in params if isinstance(param, click.Option) for flag in param.opts} | {"--help", "-h"}
        for word in words:
            if word.startswith("--") and len(word) > 2:
                assert word.split("=")[0].replace("_", "-") in known, f"{name}: {binary} {word}"


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if page.name not in navigation] == []


@pytest.mark.parametrize("name", NAMES)
def test_tests_named_in_the_docs_exist(name):
    """`tests/a/test_b.py::test_c` and `tests/a/test_b.py -k "c or d"` name tests that are there."""
    named = r"(tests/[\w/]+(?:\.\w+)?)(?:::(\w+))?(?: -k (\"[^\"]+\"|\w+))?"
    for path, test, words in re.findall(named, (ROOT / name).read_text()):
        target = ROOT / path
        assert target.exists(), f"{name}: {path}"
        sources = [target] if target.is_file() else target.rglob("*.py")
        tests = {test for source in sources for test in re.findall(r"def (test_\w+)", source.read_text())}
        assert not test or test in tests, f"{name}: {path}::{test}"
        for word in set(re.findall(r"\w+", words)) - {"or", "and", "not"}:
            assert any(word in test for test in tests) or word in path, f"{name}: {path} -k {word}"
