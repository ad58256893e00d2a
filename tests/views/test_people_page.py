"""The operators' page of people: roles, second factors, last sign-ins and who stands in for whom, of one company."""

import re
from datetime import timedelta
from html import unescape

import pytest
from allauth.mfa.models import Authenticator
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.identity.models import Membership, Person
from approvals.queries.people import people
from tests.people.asking import away
from tests.views.conftest import SignIn, add_role
from tests.world import World

PAGE = "/people/"


def shown(sign_in: SignIn, who: str = "opal", query: str = "") -> str:
    answer = sign_in(who).get(PAGE + query)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def row(page: str, name: str) -> str:
    rows = re.findall(r"<tr role=\"row\">\s*<th scope=\"row\".*?</tr>", page, re.S)
    (found,) = [each for each in rows if f"<bdi>{name}</bdi>" in each]
    return " ".join(re.sub("<[^>]+>", " ", found).split())


def test_it_shows_everybody_with_their_roles_and_nobody_else(web: World, sign_in: SignIn) -> None:
    found = people(web.reviewer("opal"))
    with web.processes.cursor("admin") as shell:
        shell.execute(
            "SELECT p.name, array_agg(m.role ORDER BY m.role) FROM identity_membership m "
            "JOIN identity_person p ON p.id = m.person_id WHERE m.tenant_id = %s "
            "GROUP BY p.id, p.name ORDER BY lower(p.name), p.id",
            (web.tenant.pk,),
        )
        assert [(one.name, list(one.roles)) for one in found.page.rows] == shell.fetchall()
    page = shown(sign_in)
    assert "finance support lead" in row(page, "Otto")
    assert "Gus" not in page and "Gail" not in page


def test_another_company_sees_its_own_people(web: World, sign_in: SignIn) -> None:
    add_role(web, "gus", web.other, "operator")
    page = shown(sign_in, "gus")
    assert "finance operator support lead" in row(page, "Gus")
    assert "Lena" not in page and "Opal" not in page


def test_a_role_in_another_company_is_not_shown(web: World, sign_in: SignIn) -> None:
    add_role(web, "lena", web.other, "auditor")
    assert "auditor" not in row(shown(sign_in), "Lena")


def test_it_says_who_has_a_second_factor_and_not_which(web: World, sign_in: SignIn) -> None:
    with web.processes.acting_as("migrator"):
        Authenticator.objects.create(
            user=web.people["lena"], type=Authenticator.Type.TOTP, data={"secret": "demo-sealed"}
        )
        Authenticator.objects.create(
            user=web.people["mara"], type=Authenticator.Type.RECOVERY_CODES, data={"seed": "demo-sealed"}
        )
    page = shown(sign_in)
    assert "Has one" in row(page, "Lena")
    assert "None" in row(page, "Mara")  # recovery codes alone are none
    assert "totp" not in page.lower() and "demo-sealed" not in page


def test_it_says_when_somebody_last_signed_in(web: World, sign_in: SignIn) -> None:
    page = shown(sign_in)
    assert "never" in row(page, "Felix")
    today = f"{timezone.now():%Y}"
    assert today in row(page, "Opal") and "UTC" in row(page, "Opal")


def test_somebody_who_was_switched_off_is_said_to_be(web: World, sign_in: SignIn) -> None:
    with web.processes.acting_as("migrator"):
        Person.objects.filter(pk=web.people["mara"].pk).update(is_active=False)
    assert "Switched off" in row(shown(sign_in), "Mara")


def test_it_says_who_stands_in_for_whom_now_and_later(web: World, sign_in: SignIn) -> None:
    away(web, "lena", "felix", hours=48)
    with web.processes.acting_as("migrator"):
        begins = timezone.now() + timedelta(days=3)
        web.people["mara"].delegations.create(
            tenant=web.tenant,
            delegate=web.people["otto"],
            starts_at=begins,
            ends_at=begins + timedelta(days=1),
        )
        over = timezone.now() - timedelta(days=1)
        web.people["otto"].delegations.create(
            tenant=web.tenant, delegate=web.people["mara"], starts_at=over - timedelta(days=1), ends_at=over
        )
    told = [(one.delegate, one.delegator, one.in_force) for one in people(web.reviewer("opal")).delegations]
    assert told == [("Felix", "Lena", True), ("Otto", "Mara", False)]
    words = " ".join(re.sub("<[^>]+>", " ", shown(sign_in)).split())
    assert "Now Felix for Lena from" in words and "Later Otto for Mara from" in words


def test_nobody_of_another_companys_delegations_is_shown(web: World, sign_in: SignIn) -> None:
    away(web, "lena", "felix", hours=48)
    add_role(web, "gus", web.other, "operator")
    assert people(web.reviewer("gus")).delegations == ()
    assert "Nobody stands in for anybody." in shown(sign_in, "gus")


def test_it_is_paged_by_name_without_gaps(web: World) -> None:
    by, after, names = web.reviewer("opal"), None, []
    for _ in range(20):
        page = people(by, after=after, rows=3).page
        names += [one.name for one in page.rows]
        if not page.next:
            break
        after = page.rows[-1].id
    assert names == [one.name for one in people(by).page.rows]


@pytest.mark.parametrize("query", ["?after=x", "?after=%00", "?after=00000000-0000-0000-0000-000000000000"])
def test_a_mark_that_is_none_reads_as_the_first_page(web: World, sign_in: SignIn, query: str) -> None:
    assert "Felix" in shown(sign_in, query=query)


def test_a_mark_of_another_companys_person_says_nothing_of_them(web: World, sign_in: SignIn) -> None:
    assert "Felix" in shown(sign_in, query=f"?after={web.people['gus'].pk}")


@pytest.mark.parametrize("who", ["lena", "ada", "paul"])
def test_nobody_but_operators_sees_them_and_the_trail_says_who_wanted_to(
    web: World, sign_in: SignIn, who: str
) -> None:
    answer = sign_in(who).get(PAGE)
    assert answer.status_code == 403 and "The people are for operators." in answer.content.decode()
    with tenant_scope(web.tenant.pk):
        assert '"wanted":"people"' in Event.objects.get(kind="access.denied").text


def test_it_only_reads_and_the_pages_could_give_nobody_a_role(web: World, sign_in: SignIn) -> None:
    assert sign_in("opal").post(PAGE).status_code == 405
    with web.processes.cursor("web") as shell:
        shell.execute("SELECT has_table_privilege('identity_membership', 'INSERT, UPDATE, DELETE')")
        assert shell.fetchone() == (False,)


def test_its_statements_do_not_grow_with_the_people(web: World) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            people(web.reviewer("opal"))
        return len(queries)

    before = asked()
    with web.processes.acting_as("migrator"):
        for number in range(10):
            person = Person.objects.create(
                email=f"p{number}-{web.tenant.slug}@example.com", name=f"Person {number}"
            )
            Membership.objects.create(tenant=web.tenant, person=person, role="finance")
    assert asked() == before
