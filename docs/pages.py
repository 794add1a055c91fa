"""MkDocs hook: a page for every binary, from its help, and pages for Markdown files outside docs/.

Files outside docs/ (a recipe's README, the CHANGELOG) link to each other by their paths in the checkout. On the site these
links become links to the pages; a link to a file without a page becomes its path in code type.
"""

import importlib
import os
import re
from pathlib import Path
from textwrap import dedent

import click
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "egs/README.md": "recipes/index.md",
    "egs/mini/README.md": "recipes/mini.md",
    "egs/emodb/README.md": "recipes/emodb.md",
    "egs/emodb/RESULTS.md": "recipes/emodb-results.md",
    "egs/benchmark/README.md": "recipes/benchmark.md",
    "egs/benchmark/RESULTS.md": "recipes/benchmark-results.md",
    "egs/voxceleb/README.md": "recipes/voxceleb.md",
    "egs/iemocap/README.md": "recipes/iemocap.md",
    "benchmarks/README.md": "benchmarks.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
BINARIES = sorted(path.name for path in (ROOT / "bin").iterdir() if path.name != "launch")
# The parts of a help text, and what Markdown would read as markup in them.
HELP = re.compile(r"(Usage: .*?)\n\n(.*?)\n\n  e\.g\.: (.*?)\n  See also: (.*?)\n\n(.*)", re.DOTALL)
SPECIAL = re.compile(r"[\\`*_\[\]]")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")


def on_files(files, config):
    """Add the pages outside docs/."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    for binary in BINARIES:
        files.append(File.generated(config, f"binaries/{binary}.md", content=binary_page(binary)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Replace links between files of the checkout by links between pages."""
    place = page.file.src_uri
    if place == "index.md":
        lines = [f"- [`{binary}`](binaries/{binary}.md)" for binary in BINARIES]
        markdown = markdown.replace("BINARIES\n", "\n".join(lines) + "\n")
    source = next((source for source, target in PAGES.items() if target == place), f"docs/{place}")
    return LINK.sub(lambda match: led(match, source, place), markdown)


def led(match: re.Match, source: str, place: str) -> str:
    """Return a link on the page `place`, whose Markdown is `source` in the checkout, as it must be on the site."""
    text, target = match.groups()
    path, hash, anchor = target.partition("#")
    if not path or ":" in target or (place == "index.md" and path.startswith("binaries/")):
        return match[0]
    wanted = os.path.normpath(os.path.join(os.path.dirname(source), path))
    if (ROOT / wanted / "README.md").exists():
        wanted = f"{wanted}/README.md"
    page = PAGES.get(wanted) or (wanted.removeprefix("docs/") if wanted.startswith("docs/") else None)
    if page is None:  # a file without a page
        return text if "`" in text else f"{text} (`{wanted}`)"
    return f"[{text}]({os.path.relpath(page, os.path.dirname(place) or '.')}{hash}{anchor})"


def binary_page(name: str) -> str:
    """Return a binary's help as a page: what it does, its call, examples, links to related binaries, options."""
    command = importlib.import_module(f"sertk.cli.{name.replace('-', '_')}").main
    context = click.Context(command, info_name=name, **command.context_settings)
    usage, about, examples, related, options = HELP.fullmatch(command.get_help(context)).groups()
    prose = SPECIAL.sub(r"\\\g<0>", dedent(about)).replace("<", "&lt;")
    links = ", ".join(f"[{other}]({other}.md)" for other in related.split(", "))
    return (
        f"# {name}\n\n{prose}\n\n```text\n{usage}\n```\n\n## Examples\n\n```bash\n{dedent(' ' * 8 + examples)}\n```\n\n"
        f"See also: {links}\n\n## Options\n\n```text\n{dedent(options.removeprefix('Options:'))}\n```\n"
    )
