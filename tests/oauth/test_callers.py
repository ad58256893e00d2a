"""Which program is counted at the token endpoints: the one whose secret is checked, however it is written."""

import base64
from typing import Any

import pytest
from django.conf import settings

from approvals import quick_redis
from approvals.identity.agents import Added
from approvals.identity.models import AccessToken
from approvals.identity.validator import Validator
from approvals.views.oauth.callers import Caller
from approvals.views.oauth.rates import Entry
from tests.oauth.programs import Program, outsider, refusal
from tests.oauth.test_headless import added
from tests.world import World

FEW = 3
FORM = "application/x-www-form-urlencoded"
ENDPOINTS = ("/o/token/", "/o/revoke_token/", "/o/device-authorization/")


@pytest.fixture(autouse=True)
def _few(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LIMIT_TOKEN_FAILURES_A_MINUTE", FEW)
    monkeypatch.setattr(quick_redis, "_silent_until", 0.0)


@pytest.fixture
def agent(web: World) -> Added:
    return added(web)


def basic(text: str | bytes, scheme: str = "Basic") -> str:
    given = text if isinstance(text, bytes) else text.encode()
    return f"{scheme} {base64.b64encode(given).decode()}"


def post(header: str = "", *, to: str = "/o/token/", address: str = "127.0.0.1", **form: str) -> Any:
    headers = {"Authorization": header} if header else {}
    body = {"grant_type": "client_credentials", "token": "x", **form}
    return outsider().post(to, body, headers=headers, REMOTE_ADDR=address)


def by_body(agent: Added, secret: str = "", **how: str) -> Any:
    return post(client_id=agent.client_id, client_secret=secret or agent.secret, **how)


def by_header(agent: Added, **how: str) -> Any:
    return post(basic(f"{agent.client_id}:{agent.secret}"), **how)


@pytest.fixture
def unhashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Validator, "_check_secret", lambda *_: pytest.fail("a secret was hashed"))


@pytest.mark.parametrize("to", ENDPOINTS)
@pytest.mark.parametrize(
    "header", ["fake7%3Ax", "fake7:x", "{own}%3A{secret}", "{own}:{secret}", ":", "{victim}:x"]
)
def test_credentials_in_both_places_are_refused_before_anything_is_hashed(
    web: World, agent: Added, unhashed: None, to: str, header: str
) -> None:
    """Attack: be counted for the program in the header, and have the one in the body looked at (RFC 6749, 2.3)."""
    victim = added(web)
    named = header.format(own=agent.client_id, secret=agent.secret, victim=victim.client_id)
    answer = post(basic(named), to=to, client_id=victim.client_id, client_secret="guess")
    assert refusal(answer) == (400, "invalid_request")


def test_ones_own_good_secret_opens_no_guessing_at_another(web: World, agent: Added) -> None:
    """Attack: the exception for a secret that was good lately, used for a guess at somebody else's."""
    assert by_header(agent).status_code == 200
    victim = added(web)
    both = basic(f"{agent.client_id}%3A{agent.secret}")
    for _ in range(2 * FEW):
        answer = post(both, client_id=victim.client_id, client_secret="guess")
        assert refusal(answer) == (400, "invalid_request")
    assert refusal(post(both)) == (400, "invalid_request")


def test_the_same_id_may_stand_beside_the_header_and_another_may_not(web: World, agent: Added) -> None:
    """Clients exist that send theirs with everything."""
    assert by_header(agent, client_id=agent.client_id).status_code == 200
    assert by_header(agent, client_id=agent.client_id, client_secret="").status_code == 200
    assert refusal(by_header(agent, client_id=added(web).client_id)) == (400, "invalid_request")


def test_a_wrong_secret_in_the_header_is_hashed_once(agent: Added, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would try the body next."""
    hashed: list[str] = []

    def wrong(_: Validator, provided: str, __: str) -> bool:
        hashed.append(provided)
        return False

    monkeypatch.setattr(Validator, "_check_secret", wrong)
    answer = post(basic(f"{agent.client_id}:wrong"), client_id=agent.client_id)
    assert (refusal(answer), hashed) == ((401, "invalid_client"), ["wrong"])


@pytest.mark.parametrize("to", ENDPOINTS)
@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !",
        "Basic YTp",  # cut off
        basic(b"\xff:x"),
        basic("no colon"),
        basic("a\0:x"),
        basic("a:%00"),
        f"{basic('a:x')},{basic('b:x')}",  # two headers, as servers join them
        basic("a:x") + " " + basic("b:x"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused_whatever_the_body_says(
    agent: Added, unhashed: None, to: str, header: str
) -> None:
    answer = by_body(agent, to=to, header=header)
    assert refusal(answer) == (400, "invalid_request")
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "spelled",
    ["{0}", "%{1:02x}{2}", "basic {0}", "BASIC {0}"],
)
def test_a_program_is_counted_as_itself_however_it_is_written(agent: Added, spelled: str) -> None:
    """Attack: write a known client id in another way with each guess."""
    name = agent.client_id
    scheme, _, form = spelled.rpartition(" ")
    written = form.format(name, ord(name[0]), name[1:])
    for _ in range(FEW):
        assert refusal(post(basic(f"{written}:wrong", scheme or "Basic"))) == (401, "invalid_client")
    assert refusal(by_body(agent)) == (429, "slow_down")


@pytest.mark.parametrize("encoding", ["utf-7", "utf-16", "nothing", "rot13"])
def test_no_parameter_says_how_the_header_is_read(agent: Added, encoding: str) -> None:
    """Attack: the library takes a parameter of this name for its own; the same bytes were then two programs."""
    hidden = "".join(
        f"+{base64.b64encode(one.encode('utf-16-be')).decode().rstrip('=')}-" for one in agent.client_id
    )
    for header in (
        basic(f"{hidden}:{agent.secret}"),
        basic(f"{agent.client_id}:{agent.secret}".encode("utf-16")),
    ):
        assert post(header, encoding=encoding).status_code in (400, 401)
    assert not AccessToken.objects.filter(application__client_id=agent.client_id).exists()
    assert by_header(agent, encoding=encoding).status_code == 200


def test_an_id_and_a_secret_may_hold_any_character(web: World, agent: Added) -> None:
    """RFC 6749, section 2.3.1: they are encoded before the colon is put between them."""
    with web.processes.acting_as("migrator"):
        agent.agent.application.client_id += ":1 +%"
        agent.agent.application.save()
    name = agent.agent.application.client_id.replace("%", "%25").replace("+", "%2B").replace(":", "%3A")
    assert post(basic(f"{name.replace(' ', '+')}:{agent.secret}")).status_code == 200


def test_another_scheme_is_nothing_to_the_token_endpoint(agent: Added) -> None:
    assert by_body(agent, header="Bearer x").status_code == 200


def test_halves_of_characters_are_refused(agent: Added) -> None:
    """A form may come in an encoding that has them; neither a digest nor PostgreSQL does."""
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (
            ("grant_type", "client_credentials"),
            ("client_id", "\\ud800"),
            ("client_secret", "x"),
        )
    ]
    kind = "multipart/form-data; boundary=b; charset=unicode_escape"
    for to in ENDPOINTS:
        answer = outsider().generic("POST", to, "".join(parts) + "--b--\r\n", content_type=kind)
        assert refusal(answer) == (400, "invalid_request")


def test_a_very_long_id_is_a_failure_like_any_other(agent: Added) -> None:
    long = "x" * 10_000
    for _ in range(FEW):
        assert refusal(post(basic(f"{long}:x"))) == (401, "invalid_client")
    assert refusal(post(client_id=long, client_secret="x")) == (429, "slow_down")


@pytest.mark.parametrize("grant", ["", "nonsense", "password", "implicit"])
def test_a_grant_that_is_not_offered_hashes_nothing_and_is_no_failure(
    agent: Added, unhashed: None, grant: str
) -> None:
    for _ in range(4 * FEW + 1):
        answer = by_body(agent, secret="wrong", grant_type=grant)
        assert refusal(answer) == (400, "unsupported_grant_type")


def test_a_refresh_token_beside_another_grant_is_nothing_it_is_counted_under(
    agent: Added, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: one more thing to vary, so that calls are counted under it and not under the address."""
    seen: list[str] = []
    let_in = Caller.let_in

    def noticed(caller: Caller) -> Entry:
        seen.append(caller.credential)
        return let_in(caller)

    monkeypatch.setattr(Caller, "let_in", noticed)
    post(client_id="somebody", refresh_token="one")
    post(client_id="somebody", refresh_token="one", grant_type="refresh_token")
    post(client_id="somebody", client_secret="one")
    assert seen[0] == ""
    assert len(set(seen)) == 3, "a secret and a refresh token of the same words are two"


@pytest.mark.parametrize("to", ENDPOINTS)
def test_nothing_is_taken_from_the_address(program: Program, agent: Added, unhashed: None, to: str) -> None:
    """The device endpoint read the id there, and broke on it."""
    for query in (
        f"client_id={program.client_id}",
        f"client_id={agent.client_id}&client_secret=guess",
        "x=1",
    ):
        answer = outsider().post(f"{to}?{query}", "scope=mcp:read", content_type=FORM)
        assert refusal(answer) == (400, "invalid_request")
