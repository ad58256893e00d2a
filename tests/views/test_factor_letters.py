"""Whoever's second factors changed is written of it: at once, and whatever they chose."""

from datetime import time
from io import StringIO

import pytest
from django.core import mail
from django.core.management import call_command
from django.test import Client

from approvals import notifications, outbox
from approvals.database import tenant_scope
from approvals.notifications import Choice
from tests.attacks.test_roles import REFUSED, attempt
from tests.notifications.conftest import Post
from tests.proving import add_app, session_proves
from tests.views.conftest import SignIn
from tests.views.test_factors import enrol
from tests.world import World


def letters(web: World) -> list[tuple[list[str], str]]:
    mail.outbox, post = [], Post(web)
    for row in post.rows("mail"):
        post.work(row)
    return [(one.to, str(one.subject)) for one in mail.outbox]


def test_who_adds_a_factor_is_written_of_it_in_quiet_hours_too(
    web: World,
    sign_in: SignIn,
) -> None:
    notifications.choose(Choice(quiet_from=time(0), quiet_until=time(23, 59)), by=web.reviewer("lena"))
    lena: Client = sign_in("lena")
    session_proves(lena, web, "lena")
    enrol(lena)
    assert letters(web) == [([web.people["lena"].email], "A second factor was added to your account")]
    assert "/accounts/security/" in mail.outbox[0].body
    assert "tell whoever runs Countersign at once" in mail.outbox[0].body


def test_who_loses_their_factors_to_an_operator_is_written_once(
    web: World,
    sign_in: SignIn,
) -> None:
    add_app(web, "lena")
    with web.processes.acting_as("migrator"):
        call_command("remove_factors", email=web.people["lena"].email, stdout=StringIO())
    removed = ([web.people["lena"].email], "A second factor was taken away from your account")
    assert removed in letters(web)


def test_a_page_orders_such_a_letter_for_the_person_alone_who_is_there(web: World) -> None:
    """With a shell as the process: for nobody, unless it names them."""
    order = (
        "INSERT INTO outbox (id, tenant_id, revision, topic, kind, person_id, created_at, not_before, traceparent, "
        "attempts, last_error) VALUES (gen_random_uuid(), %s, 0, 'mail', %s, %s, now(), now(), '', 0, '')"
    )
    for kind in ("factor.added", outbox.DIGEST):
        with pytest.raises(REFUSED):
            attempt(web, "web", order, web.tenant.pk, kind, web.people["lena"].pk)


def test_nobodys_address_is_found_for_it_when_none_waits(web: World) -> None:
    from approvals.notifications.personal import _address_of

    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        assert _address_of(web.people["lena"].pk) == ""
