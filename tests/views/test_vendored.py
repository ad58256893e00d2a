"""What others wrote is served as it came; what a page of charts weighs; and where its scripts come from."""

import re
from hashlib import sha256
from pathlib import Path

from tests.views.conftest import SignIn
from tests.views.days import filled
from tests.views.test_dashboard_page import LAST, PAGE
from tests.world import World

STATIC = Path(__file__).resolve().parents[2] / "static"
VENDOR = STATIC / "vendor"
LIMIT = 200_000  # bytes, before compression


def test_each_file_is_the_one_that_is_written_down_with_its_licence() -> None:
    table = (VENDOR / "README.md").read_text()
    told = dict(re.findall(r"\| `([^`]+)` \| `([0-9a-f]{64})` \|", table))
    there = {
        str(file.relative_to(VENDOR)): sha256(file.read_bytes()).hexdigest()
        for file in VENDOR.rglob("*")
        if file.is_file() and file != VENDOR / "README.md"
    }
    assert told == there
    assert (VENDOR / "uplot/LICENSE").read_text().startswith("The MIT License")
    assert b"uPlot (v1.6.32)" in (VENDOR / "uplot/uPlot.iife.min.js").read_bytes()[:80]


def test_the_dashboard_is_under_200_kb_with_all_that_it_loads(web: World, sign_in: SignIn) -> None:
    with filled(web, [LAST]):
        page = sign_in("opal").get(PAGE, {"first": "2024-03-01", "last": "2024-03-31"}).content
    loaded = set(re.findall(r'(?:src|href)="/static/([^"]+)"', page.decode()))
    assert {"charts.js", "vendor/uplot/uPlot.iife.min.js", "countersign.css"} <= loaded
    assert len(page) + sum((STATIC / name).stat().st_size for name in loaded) < LIMIT


def test_no_other_page_loads_the_charts(web: World, sign_in: SignIn) -> None:
    for path in ("/", "/tools/", "/people/", "/operations/agents/", "/switches/"):
        assert "uPlot" not in sign_in("opal").get(path).content.decode()
