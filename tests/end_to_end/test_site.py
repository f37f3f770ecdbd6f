"""The site of the documentation builds without a warning and loads nothing from elsewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest

import inversesr

ROOT = Path(__file__).parents[2]
TOOLS = ("mkdocs", "material", "mkdocstrings", "nbconvert", "latex2mathml")
MISSING = [name for name in TOOLS if find_spec(name) is None]
# Elements that make a browser load a file by themselves; a link that is clicked is another thing.
LOADING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
LINKS_THAT_LOAD = ("stylesheet", "icon", "preconnect", "preload", "modulepreload")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"the extra [docs] is not installed: {MISSING}"),
]


class Loads(HTMLParser):
    """Collects the addresses that a page loads by itself."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        if tag == "link" and facts.get("rel") not in LINKS_THAT_LOAD:
            return
        address = facts.get(LOADING.get(tag, ""))
        if address:
            self.addresses.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    config = ROOT / "docs" / "site" / "mkdocs.yml"
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", folder]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def pages(site):
    return sorted(site.rglob("*.html"))


def test_it_has_a_page_for_every_page_of_docs_and_every_notebook(site):
    made = {path.relative_to(site).as_posix() for path in pages(site)}
    written = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    notebooks = [f"tutorials/{path.stem}.html" for path in (ROOT / "notebooks").glob("*.ipynb")]
    assert notebooks
    assert {path.with_suffix(".html").as_posix() for path in written} | set(notebooks) <= made


def test_it_loads_nothing_from_elsewhere(site):
    for path in pages(site):
        loads = Loads()
        loads.feed(path.read_text(encoding="utf-8"))
        foreign = [a for a in loads.addresses if re.match(r"(https?:)?//", a)]
        assert not foreign, (path.name, foreign)
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", path.read_text("utf-8")), path


def test_the_reference_describes_every_public_name(site):
    page = (site / "reference" / "api" / "index.html").read_text(encoding="utf-8")
    described = set(re.findall(r'id="inversesr\.(?:\w+\.)*(\w+)"', page))
    assert set(inversesr.__all__) - {"plot"} <= described
    assert {"compare", "slices", "trace", "agreement"} <= described


def test_the_reference_has_a_page_for_every_package(site):
    made = {path.stem for path in (site / "reference" / "api").glob("*.html")}
    packages = {path.parent.name for path in (ROOT / "inversesr").glob("*/__init__.py")}
    assert packages <= made


def test_equations_are_drawn_by_the_browser_itself(site):
    page = (site / "explanation" / "how-it-works.html").read_text(encoding="utf-8")
    assert page.count("<math") > 20
    assert "arithmatex" not in page
    assert "$" not in re.sub(r"<(code|script).*?</\1>", "", page, flags=re.DOTALL)
