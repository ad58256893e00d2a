"""Codes and refresh tokens: each is worth one token, for one agent, at one door."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from time import monotonic, sleep
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from approvals.identity import revoke as verbs
from approvals.identity.models import AccessToken, Agent, Grant, Membership, RefreshToken
from tests.oauth.programs import CALLBACK, Program, outsider, refusal, told
from tests.views.conftest import SignIn, add_role
from tests.world import World, break_the_trail


def tokens(program: Program) -> list[AccessToken]:
    return list(AccessToken.objects.filter(application__client_id=program.client_id))


def alive(program: Program) -> int:
    """How many tokens of either kind are still worth something."""
    refreshing = RefreshToken.objects.filter(application__client_id=program.client_id, revoked=None)
    return len(tokens(program)) + refreshing.count()


def test_a_token_is_for_the_agent_and_the_door_and_lives_for_minutes(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """RFC 8707: the audience is bound to the resource, also where none is named."""
    for resource in (settings.DOOR_URL, None):
        issued = program.connected(sign_in("lena"), web.tenant.pk, resource=resource)
        assert (issued["expires_in"], issued["token_type"]) == (900, "Bearer")
        token = AccessToken.objects.get(
            token_checksum=hashlib.sha256(issued["access_token"].encode()).hexdigest()
        )
        refresh = RefreshToken.objects.get(access_token=token)
        assert token.resource == refresh.resource == [settings.DOOR_URL]
        assert token.agent is not None
        assert token.agent_id == refresh.agent_id
        assert (token.agent.on_behalf_of, token.agent.tenant_id) == (web.people["lena"], web.tenant.pk)


def test_nothing_that_was_issued_is_kept_in_clear(web: World, program: Program, sign_in: SignIn) -> None:
    """RFC 9700: tokens are hashed at rest, and so are codes."""
    code = program.code(sign_in("lena"), web.tenant.pk)
    with web.processes.cursor("migrator") as shell:
        rows = str(shell.execute("SELECT * FROM identity_grant").fetchall())
    assert code not in rows
    assert hashlib.sha256(code.encode()).hexdigest() in rows
    issued = program.exchange(code).json()
    for model in (AccessToken, RefreshToken):
        rows = str(list(model.objects.filter(application__client_id=program.client_id).values()))
        assert issued["access_token"] not in rows
        assert issued["refresh_token"] not in rows


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": "ä" * 43}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:9999/callback"}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/callback"}, "invalid_request"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"code": "x" * 100_000}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"resource": [settings.DOOR_URL, "https://elsewhere.example/mcp"]}, "invalid_target"),
        ({"client_secret": "guessed"}, "invalid_client"),
    ],
)
def test_a_wrong_exchange_gets_nothing_and_the_code_still_works(
    web: World, program: Program, sign_in: SignIn, changes: dict[str, Any], error: str
) -> None:
    code = program.code(sign_in("lena"), web.tenant.pk)
    answer = program.exchange(code, **changes)
    assert (answer.status_code in (400, 401), answer.json()["error"]) == (True, error)
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/json", "no-store")
    assert alive(program) == 0
    assert program.exchange(code).status_code == 200


def test_a_code_of_one_program_is_nothing_to_another(web: World, program: Program, sign_in: SignIn) -> None:
    code = program.code(sign_in("lena"), web.tenant.pk)
    thief = Program.registered(web, name="Thief")
    assert refusal(program.exchange(code, client_id=thief.client_id)) == (400, "invalid_grant")
    assert alive(program) == alive(thief) == 0


def test_a_code_lives_for_a_minute(web: World, program: Program, sign_in: SignIn) -> None:
    code = program.code(sign_in("lena"), web.tenant.pk)
    grant = Grant.objects.get(code=code)
    assert timedelta(seconds=50) < grant.expires - timezone.now() <= timedelta(seconds=60)
    Grant.objects.filter(code=code).update(expires=timezone.now())
    assert refusal(program.exchange(code)) == (400, "invalid_grant")


def test_a_code_that_comes_twice_revokes_what_it_led_to(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """RFC 6749, section 4.1.2. Attack: a stolen code, replayed after the program has used it."""
    code = program.code(sign_in("lena"), web.tenant.pk)
    issued = program.exchange(code).json()
    rotated = program.refresh(issued["refresh_token"]).json()
    assert refusal(program.exchange(code)) == (400, "invalid_grant")
    assert alive(program) == 0
    assert refusal(program.refresh(rotated["refresh_token"])) == (400, "invalid_grant")
    (event,) = told(web.tenant.pk, "token.replayed")
    assert json.loads(event.text)["data"]["what"] == "code"


def test_a_refresh_rotates_and_the_old_pair_is_worth_nothing(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """RFC 9700, section 4.14.2."""
    first = program.connected(sign_in("lena"), web.tenant.pk)
    second = program.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    (token,) = tokens(program)
    assert token.token_checksum == hashlib.sha256(second["access_token"].encode()).hexdigest()
    assert token.agent is not None
    assert token.resource == [settings.DOOR_URL]


def test_a_refresh_token_that_comes_twice_revokes_its_family_once(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """RFC 9700, section 4.14.2. Attack: a stolen refresh token. A dead one cannot grow the trail."""
    other = Program.registered(web, name="Another")
    untouched = other.connected(sign_in("lena"), web.tenant.pk)
    first = program.connected(sign_in("lena"), web.tenant.pk)
    second = program.refresh(first["refresh_token"]).json()
    for _ in range(3):
        assert refusal(program.refresh(first["refresh_token"])) == (400, "invalid_grant")
    assert refusal(program.refresh(second["refresh_token"])) == (400, "invalid_grant")
    assert alive(program) == 0
    assert len(told(web.tenant.pk, "token.replayed")) == 1
    assert other.refresh(untouched["refresh_token"]).status_code == 200


def test_a_replay_without_its_audit_row_revokes_nothing(
    web: World, program: Program, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = program.connected(sign_in("lena"), web.tenant.pk)
    program.refresh(first["refresh_token"])
    break_the_trail(monkeypatch, verbs)
    assert program.refresh(first["refresh_token"]).status_code == 500
    assert alive(program) == 2


def at_once(send: Callable[[], Any], times: int = 4) -> list[tuple[int, str]]:
    """Status and error of the same request, sent by so many threads at the same moment."""
    together = Barrier(times)

    def one(_: int) -> tuple[int, str]:
        try:
            together.wait()
            answer = send()
            return answer.status_code, answer.json().get("error", "")
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return sorted(pool.map(one, range(times)))


ONE_WON = [(200, ""), *[(400, "invalid_grant")] * 3]


def test_of_refreshes_at_the_same_time_one_wins_and_the_others_revoke_what_it_won(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """RFC 9700, section 4.14.2. Attack: refresh a stolen token when its program does: as the access token ends."""
    issued = program.connected(sign_in("lena"), web.tenant.pk)
    assert at_once(lambda: program.refresh(issued["refresh_token"])) == ONE_WON
    assert alive(program) == 0
    assert len(told(web.tenant.pk, "token.replayed")) == 1


def test_of_exchanges_at_the_same_time_one_wins_and_the_others_revoke_what_it_won(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """RFC 6749, section 4.1.2."""
    code = program.code(sign_in("lena"), web.tenant.pk)
    assert at_once(lambda: program.exchange(code)) == ONE_WON
    assert alive(program) == 0
    assert len(told(web.tenant.pk, "token.replayed")) == 1


def test_who_waited_for_a_lock_while_another_was_first_revokes_what_it_won(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """The token was found valid, and was used before it could be used up."""
    issued = program.connected(sign_in("lena"), web.tenant.pk)
    agent = Agent.objects.get(application__client_id=program.client_id)
    with ThreadPoolExecutor(1) as pool, web.processes.cursor("admin") as holding:
        holding.execute("SELECT 1 FROM identity_agent WHERE id = %s FOR UPDATE", [agent.pk])
        both = pool.submit(at_once, lambda: program.refresh(issued["refresh_token"]), 2)
        wait_until_somebody_waits(web, 2)
        holding.connection.commit()
        assert both.result() == ONE_WON[:2]
    assert alive(program) == 0
    assert len(told(web.tenant.pk, "token.replayed")) == 1


def test_a_refresh_that_was_under_way_when_all_was_revoked_gets_nothing(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """The token was valid when it was looked at; what disconnects the agent holds its row until all is revoked."""
    issued = program.connected(sign_in("lena"), web.tenant.pk)
    agent = Agent.objects.get(application__client_id=program.client_id)

    def refresh() -> tuple[int, str]:
        try:
            return refusal(program.refresh(issued["refresh_token"]))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, web.processes.cursor("admin") as disconnecting:
        disconnecting.execute("SELECT 1 FROM identity_agent WHERE id = %s FOR UPDATE", [agent.pk])
        answer = pool.submit(refresh)
        wait_until_somebody_waits(web)
        disconnecting.execute(
            "UPDATE identity_refreshtoken SET revoked = now() WHERE agent_id = %s", [agent.pk]
        )
        disconnecting.execute(
            "UPDATE identity_refreshtoken SET access_token_id = NULL WHERE agent_id = %s", [agent.pk]
        )
        disconnecting.execute("DELETE FROM identity_accesstoken WHERE agent_id = %s", [agent.pk])
        disconnecting.connection.commit()
        assert answer.result() == (400, "invalid_grant")
    assert alive(program) == 0


def wait_until_somebody_waits(web: World, how_many: int = 1) -> None:
    """Until so many transactions of this database wait for a lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    deadline = monotonic() + 60
    with web.processes.cursor("admin") as shell:
        while len(shell.execute(waiting).fetchall()) < how_many:
            shell.connection.rollback()  # else the view stays as it was at first
            assert monotonic() < deadline
            sleep(0.05)


@pytest.mark.parametrize(
    ("held", "asked", "granted"),
    [
        ("mcp:read mcp:request", "mcp:read", "mcp:read"),
        ("mcp:read mcp:request", "mcp:request:refund_payment", "mcp:request:refund_payment"),
        ("mcp:read mcp:request", None, "mcp:read mcp:request"),
        ("mcp:read", "mcp:read mcp:request", None),
        ("mcp:request:refund_payment", "mcp:request", None),
        ("mcp:request:refund_payment", "mcp:request:cancel_order", None),
        ("mcp:read", "mcp:approve", None),
    ],
)
def test_a_refresh_may_narrow_and_never_widen(
    web: World, program: Program, sign_in: SignIn, held: str, asked: str | None, granted: str | None
) -> None:
    """RFC 6749, section 6."""
    issued = program.connected(sign_in("lena"), web.tenant.pk, scope=held)
    answer = program.refresh(issued["refresh_token"], **({"scope": asked} if asked else {}))
    if granted is None:
        assert refusal(answer) == (400, "invalid_scope")
    else:
        assert answer.json()["scope"] == granted


@pytest.mark.parametrize("resource", ["https://elsewhere.example/mcp", f"{settings.DOOR_URL}/", "nonsense"])
def test_a_refresh_for_another_place_is_refused(
    web: World, program: Program, sign_in: SignIn, resource: str
) -> None:
    issued = program.connected(sign_in("lena"), web.tenant.pk)
    answer = program.refresh(issued["refresh_token"], resource=resource)
    assert refusal(answer) == (400, "invalid_target")
    assert program.refresh(issued["refresh_token"], resource=settings.DOOR_URL).status_code == 200


def test_a_refresh_token_of_one_program_is_nothing_to_another(
    web: World, program: Program, sign_in: SignIn
) -> None:
    issued = program.connected(sign_in("lena"), web.tenant.pk)
    thief = Program.registered(web, name="Thief")
    assert refusal(thief.refresh(issued["refresh_token"])) == (400, "invalid_grant")
    assert program.refresh(issued["refresh_token"]).status_code == 200


def test_a_person_who_left_the_company_refreshes_nothing(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """Mixed tenants: being in another company does not help."""
    add_role(web, "lena", web.other, "auditor")
    browser = sign_in("lena")
    issued = program.connected(browser, web.tenant.pk)
    code = program.another_time()
    waiting = code.code(browser, web.tenant.pk)
    with web.processes.acting_as("migrator"):
        Membership.objects.filter(person=web.people["lena"], tenant=web.tenant).delete()
    assert refusal(program.refresh(issued["refresh_token"])) == (400, "invalid_grant")
    assert refusal(code.exchange(waiting)) == (400, "invalid_grant")


@pytest.mark.parametrize("what", ["agent", "person"])
def test_who_was_switched_off_gets_no_more_tokens(
    web: World, program: Program, sign_in: SignIn, what: str
) -> None:
    issued = program.connected(sign_in("lena"), web.tenant.pk)
    with web.processes.acting_as("migrator"):
        if what == "agent":
            Agent.objects.filter(application__client_id=program.client_id).update(is_active=False)
        else:
            type(web.people["lena"]).objects.filter(pk=web.people["lena"].pk).update(is_active=False)
    assert refusal(program.refresh(issued["refresh_token"])) == (400, "invalid_grant")


def test_an_idle_refresh_token_ends(web: World, program: Program, sign_in: SignIn) -> None:
    issued = program.connected(sign_in("lena"), web.tenant.pk)
    AccessToken.objects.filter(application__client_id=program.client_id).update(
        expires=timezone.now() - timedelta(days=14, seconds=1)
    )
    assert refusal(program.refresh(issued["refresh_token"])) == (400, "invalid_grant")


def test_a_program_hands_its_tokens_back(web: World, program: Program, sign_in: SignIn) -> None:
    """RFC 7009, for a program that keeps no secret; either token takes the other with it."""
    for kept in ("access_token", "refresh_token"):
        issued = program.connected(sign_in("lena"), web.tenant.pk)
        answer = program.revoke(issued[kept])
        assert (answer.status_code, alive(program)) == (200, 0)
    events = told(web.tenant.pk, "token.revoked")
    assert [event.actor_kind for event in events] == ["system", "system"]
    assert program.revoke(issued["refresh_token"]).status_code == 200
    assert len(told(web.tenant.pk, "token.revoked")) == 2


def test_nobody_hands_back_a_token_of_another_program(web: World, program: Program, sign_in: SignIn) -> None:
    issued = program.connected(sign_in("lena"), web.tenant.pk)
    thief = Program.registered(web, name="Thief")
    assert thief.revoke(issued["access_token"]).status_code == 200
    assert alive(program) == 2
    assert program.revoke(issued["access_token"], client_id="nobody").status_code == 401
    assert alive(program) == 2


def test_a_revocation_without_its_audit_row_does_not_happen(
    web: World, program: Program, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = program.connected(sign_in("lena"), web.tenant.pk)
    break_the_trail(monkeypatch, verbs)
    assert program.revoke(issued["access_token"]).status_code == 500
    assert alive(program) == 2


def test_a_token_request_in_the_address_is_refused(web: World, program: Program, sign_in: SignIn) -> None:
    """RFC 6749, section 3.2: parameters in the body; an address is logged by many."""
    code = program.code(sign_in("lena"), web.tenant.pk)
    form = {"grant_type": "authorization_code", "client_id": program.client_id, "redirect_uri": CALLBACK}
    answer = outsider().post(f"/o/token/?code={code}&code_verifier={program.verifier}", form)
    assert refusal(answer) == (400, "invalid_request")
    assert alive(program) == 0
