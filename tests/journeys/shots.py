"""Every page at three widths in both themes. Taken by `python -m tests.shots`; not collected among the tests."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import pytest
from playwright.sync_api import Page

from tests.journeys import factors
from tests.journeys.moments import MOMENTS
from tests.journeys.scenes import OUTSIDE, at_work
from tests.journeys.site import ROOT, THEMES, Site

WIDTHS = (360, 768, 1440)
WANTED = os.environ.get("SHOTS_OF", "").split()  # none for all
FOLDER = ROOT / ".shots"  # not in .data, which is the running product's alone


@pytest.mark.timeout(1800)
def test_shots(site: Site) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    pages, moments, outside = wanted(at_work(site.world).pages), wanted(MOMENTS), wanted(OUTSIDE)
    for theme in THEMES:
        for width in WIDTHS:
            with site.visitor(width=width, theme=theme) as page:
                for name, path in outside.items():
                    _shoot(page, path, FOLDER / f"{name}-{width}-{theme}.png")
            for who in sorted({who for who, _ in pages.values()}):
                with site.signed_in(who, width=width, theme=theme) as page:
                    for name, (viewer, path) in pages.items():
                        if viewer == who:
                            _shoot(page, path, FOLDER / f"{name}-{width}-{theme}.png")
            for name, (who, act) in moments.items():
                with site.signed_in(who, width=width, theme=theme) as page:
                    act(site.world, page)
                    _keep(page, FOLDER / f"{name}-{width}-{theme}.png")
            if WANTED:
                continue
            with site.signed_in(factors.WHO, width=width, theme=theme) as page:
                for name in factors.walk(site.world, page):
                    _keep(page, FOLDER / f"{name}-{width}-{theme}.png")


T = TypeVar("T")


def wanted(named: Mapping[str, T]) -> dict[str, T]:
    return {name: it for name, it in named.items() if not WANTED or name in WANTED}


def _shoot(page: Page, path: str, file: Path) -> None:
    page.goto(path)
    _keep(page, file)


def _keep(page: Page, file: Path) -> None:
    page.screenshot(path=file, full_page=True)
