"""What the OAuth server forgets, and what it must remember: the sweeper deletes, and replays are still recognised."""

import base64
import re
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from oauth2_provider.settings import oauth2_settings

from approvals.identity import forget
from approvals.identity.models import AccessToken, Application, DeviceGrant, Grant, RefreshToken
from approvals.management.commands.sweeper import Sweep
from tests.oauth.programs import Program, refusal, told
from tests.oauth.terminal import Terminal
from tests.oauth.test_headless import added, ask
from tests.views.conftest import SignIn
from tests.world import World

TIMES = {
    "identity_grant": ("expires", "created"),
    "identity_devicegrant": ("expires",),
    "identity_accesstoken": ("expires", "created"),
    "identity_refreshtoken": ("revoked", "created"),
    "identity_application": ("created",),
}


def older(world: World, interval: str, *tables: str, only: str = "true") -> None:
    """As if everything in these tables had happened that much earlier."""
    with world.processes.cursor("admin") as shell:
        for table in tables or TIMES:
            for column in TIMES[table]:
                shell.execute(f"UPDATE {table} SET {column} = {column} - interval '{interval}' WHERE {only}")


def sweep(world: World) -> None:
    with world.processes.acting_as("sweeper"):
        for kind in forget.KINDS:
            while forget.forgotten(kind):
                pass


def held(program: Program) -> tuple[int, int]:
    """How many access and refresh tokens of this program are kept, whatever they are worth."""
    mine = {"application__client_id": program.client_id}
    return AccessToken.objects.filter(**mine).count(), RefreshToken.objects.filter(**mine).count()


@pytest.mark.parametrize("what", ["code", "refresh_token"])
def test_a_replay_is_recognised_as_long_as_its_family_lives(
    web: World, program: Program, sign_in: SignIn, what: str
) -> None:
    """RFC 9700, section 4.14.2. Attack: wait with a stolen token until its use is forgotten."""
    code = program.code(sign_in("lena"), web.tenant.pk)
    first = program.exchange(code).json()
    older(web, "400 days")
    AccessToken.objects.update(expires="2100-01-01T00:00Z")  # its program has come back often enough
    second = program.refresh(first["refresh_token"]).json()
    older(web, "40 days", "identity_refreshtoken", only="revoked IS NOT NULL")
    sweep(web)
    assert held(program) == (1, 2)
    replay = program.exchange(code) if what == "code" else program.refresh(first["refresh_token"])
    assert refusal(replay) == (400, "invalid_grant")
    assert refusal(program.refresh(second["refresh_token"])) == (400, "invalid_grant")
    assert len(told(web.tenant.pk, "token.replayed")) == 1


def test_a_family_that_ended_is_forgotten_as_a_whole(web: World, program: Program, sign_in: SignIn) -> None:
    first = program.connected(sign_in("lena"), web.tenant.pk)
    second = program.refresh(first["refresh_token"]).json()
    program.revoke(second["refresh_token"])
    sweep(web)
    assert held(program) == (0, 2)
    older(web, "61 minutes")
    sweep(web)
    assert held(program) == (0, 0)
    assert refusal(program.refresh(first["refresh_token"])) == (400, "invalid_grant")


def test_a_family_that_nobody_used_for_two_weeks_is_forgotten(
    web: World, program: Program, sign_in: SignIn
) -> None:
    program.refresh(program.connected(sign_in("lena"), web.tenant.pk)["refresh_token"])
    older(web, "13 days 23 hours")
    sweep(web)
    assert held(program) == (1, 2)
    older(web, "3 hours")
    sweep(web)
    assert held(program) == (1, 0)  # the page says when it last got a token


def test_what_is_worth_something_stays(web: World, program: Program, sign_in: SignIn) -> None:
    person, another = sign_in("lena"), Program.registered(web)
    issued, code = program.connected(person, web.tenant.pk), another.code(person, web.tenant.pk)
    with web.processes.acting_as("migrator"):
        Application.objects.filter(client_id=program.client_id).update(created="2020-01-01T00:00Z")
    sweep(web)
    assert program.refresh(issued["refresh_token"]).status_code == 200
    assert another.exchange(code).status_code == 200


def test_of_an_agents_ended_tokens_the_newest_stays(web: World) -> None:
    agent = added(web)
    for _ in range(3):
        assert ask(agent).status_code == 200
    mine = AccessToken.objects.filter(agent=agent.agent)
    newest = mine.latest("pk").pk
    sweep(web)
    assert mine.count() == 3
    older(web, "76 minutes", only="true")
    sweep(web)
    assert [token.pk for token in mine] == [newest]


def test_codes_that_ended_are_forgotten(web: World, program: Program, sign_in: SignIn) -> None:
    with web.processes.acting_as("migrator"):
        row = Application.objects.create(
            client_id=f"terminal-{uuid4().hex[:8]}",
            client_type=Application.CLIENT_PUBLIC,
            authorization_grant_type=Application.GRANT_DEVICE_CODE,
        )
    Terminal(row.client_id).began()
    program.code(sign_in("lena"), web.tenant.pk)
    sweep(web)
    assert Grant.objects.filter(application__client_id=program.client_id).count() == 1
    older(web, "2 hours", "identity_grant", "identity_devicegrant")
    sweep(web)
    assert not Grant.objects.exists()
    assert not DeviceGrant.objects.exists()


def test_a_program_that_nobody_connected_is_forgotten_after_a_day(web: World, sign_in: SignIn) -> None:
    unused, used = Program.registered(web), Program.registered(web)
    used.connected(sign_in("lena"), web.tenant.pk)
    older(web, "1 day 1 minute", "identity_application")
    fresh = Program.registered(web)
    sweep(web)
    kept = set(Application.objects.values_list("client_id", flat=True))
    assert unused.client_id not in kept
    assert {used.client_id, fresh.client_id, web.agent.client_id} <= kept


def test_the_database_knows_how_long_an_unused_refresh_token_lives(web: World) -> None:
    with web.processes.cursor("admin") as shell:
        shell.execute("SELECT prosrc FROM pg_proc WHERE proname = 'oauth_forget_refresh_tokens'")
        (source,) = shell.fetchone() or ("",)
    seconds = set(re.findall(r"'(\d+) seconds'", source))
    assert seconds == {str(oauth2_settings.REFRESH_TOKEN_EXPIRE_SECONDS)}


def test_it_goes_on_batch_after_batch_and_then_rests(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(web, "2 days", "identity_application")
    sweep(web)
    monkeypatch.setattr(forget, "MOST_AT_ONCE", 2)
    for _ in range(5):
        Program.registered(web)
    older(web, "2 days", "identity_application")
    idle, sweeping, counts = (
        Application.objects.filter(agents=None, registration_source="dcr"),
        forget.Forgetting(),
        [],
    )
    for _ in range(4):
        with web.processes.acting_as("sweeper"):
            sweeping()
        counts.append(idle.count())
        if len(counts) == 3:
            Program.registered(web)
            older(web, "2 days", "identity_application")
    assert [before - counts[2] for before in counts] == [3, 1, 0, 1]


def test_the_sweeper_forgets(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()
    monkeypatch.setattr(settings, "AUDIT_SIGNING_KEY", seed)
    unused = Program.registered(web)
    older(web, "2 days", "identity_application")
    with web.processes.acting_as("sweeper"):
        Sweep()()
    assert not Application.objects.filter(client_id=unused.client_id).exists()
