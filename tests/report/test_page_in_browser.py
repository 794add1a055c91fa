"""The page in a real browser: Chromium, headless (apt-get install chromium)."""

import json
import re
import subprocess

import pytest
from report_folder import make

from sertk.report.build import Choices, build_report
from sertk.report.render import write_report

BROWSER = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
           "--disable-dev-shm-usage"]  # fmt: skip
# Uses the page as a person does, and leaves what it sees in the document's title.
HAND = """
<script>
const box = document.querySelector("[data-sortable]"), table = box.querySelector("table");
const rows = () => [...table.tBodies[0].rows].filter((row) => !row.hidden);
const column = (n) => rows().map((row) => row.cells[n].textContent.trim());
const heads = [...table.tHead.rows[0].cells], seen = { before: column(3).map(Number) };
const button = heads[3].querySelector("button");
button.focus();
seen.focused = document.activeElement === button;
button.click();
seen.rising = column(3).map(Number);
seen.aria = heads[3].getAttribute("aria-sort");
button.click();
seen.falling = column(3).map(Number);
heads[0].querySelector("button").click();
seen.keys = column(0);
seen.pictures = heads[heads.length - 1].querySelector("button") === null;
const [search, truth, answer] = box.querySelectorAll("[data-filter]");
const enter = (field, value) => { field.value = value; field.dispatchEvent(new Event("input")); };
enter(truth, column(1)[0]);
seen.truth = [truth.value, [...new Set(column(1))], box.querySelector("[data-count]").textContent, rows().length];
enter(truth, "");
enter(search, column(0)[2].toUpperCase());
seen.search = column(0);
enter(search, "");
seen.all = rows().length;
dispatchEvent(new Event("beforeprint"));
seen.unfolded = document.querySelectorAll("details:not([open])").length;
dispatchEvent(new Event("afterprint"));
seen.folded = document.querySelectorAll("details[open]").length;
seen.answer = document.querySelector(".answer").getBoundingClientRect().bottom;
seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
seen.loaded = performance.getEntriesByType("resource").map((entry) => entry.name).filter((n) => !n.startsWith("data:"));
seen.errors = window.broken;
document.title = JSON.stringify(seen);
</script>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("browser")
    make(root, stamps=("SIMULATED",))
    write_report(build_report(root / "exp", Choices(data=root / "data")), root / "out")
    return root / "out" / "report.html"


def browse(page, tmp_path, *options):
    command = [*BROWSER, f"--user-data-dir={tmp_path}/profile", *options, f"file://{page}"]
    return subprocess.run(command, capture_output=True, timeout=500, check=True).stdout.decode()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 500])
def test_mistakes_are_sorted_and_filtered_and_nothing_is_loaded(page, tmp_path, width):
    text = page.read_text().replace(
        "<style>", "<script>window.broken = []; onerror = (m) => broken.push(m);</script><style>"
    )
    copy = tmp_path / "page.html"
    copy.write_text(text.replace("</body>", HAND + "</body>"))
    dump = browse(copy, tmp_path, f"--window-size={width},900", "--dump-dom")
    title = re.search(r"<title>(.*?)</title>", dump, re.S)[1]
    seen = json.loads(title.replace("&quot;", '"').replace("&amp;", "&"))
    assert seen["before"] == sorted(seen["before"], reverse=True) == seen["falling"] and seen["focused"]
    assert seen["rising"] == sorted(seen["before"]) and seen["aria"] == "ascending"
    assert seen["keys"] == sorted(seen["keys"]) and seen["pictures"]
    wanted, found, count, number = seen["truth"]
    assert found == [wanted] and count == f"{number} of {seen['all']} shown" and number < seen["all"]
    assert seen["search"] == [seen["keys"][2]] and seen["all"] == len(seen["before"])
    assert (seen["unfolded"], seen["folded"]) == (0, 0)
    assert 0 < seen["answer"] < 900  # whether transfer helps is seen without scrolling
    assert seen["overflow"] == 0 and seen["loaded"] == [] and seen["errors"] == []


@pytest.mark.slow
def test_the_page_prints_to_paper(page, tmp_path):
    browse(page, tmp_path, f"--print-to-pdf={tmp_path}/page.pdf", "--no-pdf-header-footer")
    content = (tmp_path / "page.pdf").read_bytes()
    assert content.startswith(b"%PDF-") and len(re.findall(rb"/Type\s*/Page\b", content)) in range(3, 40)
