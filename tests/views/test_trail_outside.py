"""An auditor reads how far the trail's checkpoints have come outside, and what that does not prove."""

import re
from html import unescape
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone

from approvals.audit.models import Checkpoint, Push
from approvals.audit.push import Rounds
from approvals.audit.seal import seal
from tests.audit.keeping import target
from tests.views.conftest import SignIn
from tests.world import World

SIGNS = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def text(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", page)))


def shown(sign_in: SignIn) -> str:
    return text(sign_in("ada").get("/trail/").content.decode())


def sealed(world: World) -> int:
    with world.processes.acting_as("sweeper"):
        while seal(SIGNS):
            pass
        return Checkpoint.objects.filter(tenant_id=world.tenant.pk).count()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept"


def test_where_nothing_was_pushed_the_page_says_what_that_means(web: World, sign_in: SignIn) -> None:
    web.submit()
    sealed(web)
    assert (
        "No checkpoint has been pushed outside. Whoever owns the database and has the signing key could rewrite"
        in shown(sign_in)
    )


def test_it_says_how_far_they_came_when_and_to_which_host(web: World, sign_in: SignIn, folder: Path) -> None:
    web.submit()
    newest = sealed(web)
    with web.processes.acting_as("sweeper"):
        Rounds([target(f"file://{folder}")])()
        at = Push.objects.get(tenant_id=web.tenant.pk, shown="a folder").pushed_at
    assert at is not None
    web.submit()
    after = sealed(web)
    assert after == newest + 1
    page = shown(sign_in)
    assert (
        f"Last checkpoint outside: number {newest} of {after}, to a folder, {at:%-d %b %Y, %H:%M} UTC" in page
    )
    assert str(folder) not in page


def test_a_conflict_and_a_place_that_keeps_nothing_yet_are_said(web: World, sign_in: SignIn) -> None:
    web.submit()
    newest = sealed(web)
    with web.processes.acting_as("sweeper"):
        Push.objects.create(
            target="f" * 64,
            tenant_id=web.tenant.pk,
            shown="store.example.com",
            digest="0" * 64,
            refused_at=timezone.now(),
        )
        Push.objects.create(
            target="e" * 64, tenant_id=web.other.pk, shown="elsewhere.example.com", digest="0" * 64
        )
    page = shown(sign_in)
    assert f"No checkpoint has come to store.example.com yet, of {newest}." in page
    assert "Conflict It holds something else in the place of the next; nothing was overwritten." in page
    assert "elsewhere.example.com" not in page
