"""How the findings of the official suite are judged; the suite itself runs by `make conformance`."""

import json
from pathlib import Path

import pytest

from tests.conformance.official import HERE, expected, judged


def checks(**told: str) -> list[dict[str, str]]:
    return [{"id": check, "status": status} for check, status in told.items()]


@pytest.mark.parametrize(
    ("told", "may_fail", "surprises"),
    [
        (checks(a="SUCCESS"), [], ()),
        (checks(a="SUCCESS", b="FAILURE"), [], ("b",)),
        (checks(a="SUCCESS", b="WARNING"), [], ("b",)),
        (checks(a="SUCCESS", b="FAILURE"), ["b"], ()),
        (checks(a="SUCCESS", b="SUCCESS"), ["b"], ("b",)),
        (checks(a="SUCCESS", b="SKIPPED"), ["b"], ()),
        (checks(a="SUCCESS"), ["b"], ()),
        ([*checks(b="SUCCESS"), *checks(b="FAILURE")], ["b"], ()),
        ([*checks(b="SUCCESS"), *checks(b="FAILURE")], [], ("b",)),
    ],
)
def test_an_unexpected_failure_and_an_unexpected_pass_are_both_surprises(
    told: list[dict[str, str]], may_fail: list[str], surprises: tuple[str, ...]
) -> None:
    assert judged("x", told, may_fail).surprises == surprises


def test_what_every_server_should_pass_is_never_expected_to_fail() -> None:
    generic = {"tools-list", "resources-list", "prompts-list", "sep-2164-resource-not-found", "caching"}
    generic |= {"dns-rebinding-protection", "http-header-validation", "server-initialize", "ping"}
    assert not generic & set(expected())
    assert len(expected()["server-stateless"]) <= 4


def test_the_suite_is_pinned_by_content_and_by_no_address() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text())
    for name, package in lock["packages"].items():
        if name:
            assert package["integrity"].startswith("sha512-"), name
            assert "resolved" not in package, name


def test_every_pinned_version_is_exact() -> None:
    wanted = json.loads(Path(HERE / "package.json").read_text())
    for versions in (wanted["dependencies"], wanted["optionalDependencies"]):
        assert all(version[0].isdigit() for version in versions.values())
