"""One shop a module, and the seed again before each test."""

from collections.abc import Iterator

import pytest

from .running import RunningShop, running


@pytest.fixture(scope="module")
def running_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    with running(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def shop(running_shop: RunningShop) -> RunningShop:
    running_shop.control("POST", "/control/reset").raise_for_status()
    return running_shop
