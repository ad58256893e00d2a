"""What the authorization endpoint refuses, and to whom it says so."""

from typing import Any

import pytest
from django.conf import settings

from approvals.identity.models import Agent, Application, Grant
from tests.oauth.programs import Program, came_back, would_go
from tests.views.conftest import SignIn
from tests.world import World

YES = {"answer": "allow"}


def both(browser: Any, url: str, web: World) -> list[Any]:
    """The page and a yes to it: what is refused on the one is refused on the other."""
    return [browser.get(url), browser.post(url, {**YES, "tenant": str(web.tenant.pk)})]


def nothing_came_of_it(program: Program) -> bool:
    return not (
        Grant.objects.filter(application__client_id=program.client_id).exists()
        or Agent.objects.filter(application__client_id=program.client_id).exists()
    )


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "S512"}, "invalid_request"),
        ({"code_challenge": "too-short"}, "invalid_request"),
        ({"code_challenge": "A" * 200}, "invalid_request"),
        ({"code_challenge": "ä" * 43}, "invalid_request"),
        ({"response_type": "token"}, "unauthorized_client"),
        ({"response_type": "id_token token"}, "unsupported_response_type"),
        ({"response_type": "none"}, "unauthorized_client"),
        ({"response_type": None}, "invalid_request"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"scope": "mcp:approve"}, "invalid_scope"),
        ({"scope": "mcp:read offline_access"}, "invalid_scope"),
        ({"scope": "mcp:request:print_money"}, "invalid_scope"),
        ({"scope": "mcp:read mcp:read"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"resource": f"{settings.DOOR_URL}/"}, "invalid_target"),
        ({"resource": "not a uri"}, "invalid_target"),
        ({"resource": [settings.DOOR_URL, "https://elsewhere.example/mcp"]}, "invalid_target"),
    ],
)
def test_the_program_is_told_what_was_wrong_with_the_issuer_and_its_state(
    web: World, program: Program, sign_in: SignIn, changes: dict[str, Any], error: str
) -> None:
    """RFC 9700, section 2.1.1: PKCE with S256; no implicit grant. RFC 8707: one resource. RFC 9207: iss in errors."""
    for answer in both(sign_in("lena"), program.asks(**changes), web):
        back = would_go(answer)
        assert (back["error"], back["iss"]) == (error, settings.PUBLIC_URL)
        assert back["state"] == "what-the-program-remembers"
    assert nothing_came_of_it(program)


WRONG = ({"scope": "admin"}, {"resource": "https://elsewhere.example/mcp"}, {"code_challenge": "too-short"})


@pytest.mark.parametrize("changes", WRONG)
def test_a_stranger_sends_nobody_on_by_our_name(web: World, sign_in: SignIn, changes: dict[str, Any]) -> None:
    """RFC 9700, section 4.11.2. Attack: register a redirect, ask for nonsense, and send people the link to us."""
    elsewhere = "https://evil.example/looks-like-us"
    stranger = Program.registered(web, name="\u202eYour bank", redirects=elsewhere)
    for answer in both(sign_in("lena"), stranger.asks(**changes), web):
        page = answer.content.decode()
        assert (answer.status_code, "Location" in answer) == (400, False)
        assert "<code>evil.example</code>" in page
        assert "http-equiv" not in page
    assert nothing_came_of_it(stranger)


@pytest.mark.parametrize("changes", WRONG)
def test_a_program_that_the_person_let_or_an_operator_registered_is_told_at_once(
    web: World, program: Program, sign_in: SignIn, changes: dict[str, Any]
) -> None:
    program.connected(sign_in("lena"), web.tenant.pk)
    checked = Program.registered(web)
    with web.processes.acting_as("migrator"):
        Application.objects.filter(client_id=checked.client_id).update(registration_source="manual")
    for asking in (program, checked):
        for answer in both(sign_in("lena"), asking.another_time().asks(**changes), web):
            assert answer.status_code == 303
            assert came_back(answer)["iss"] == settings.PUBLIC_URL
    would_go(sign_in("mara").get(program.asks(**changes)))  # she has let it do nothing


@pytest.mark.parametrize("how", ["disconnected", "switched off", "another company's person"])
def test_once_it_is_taken_back_the_program_is_a_stranger_again(
    web: World, program: Program, sign_in: SignIn, how: str
) -> None:
    browser = sign_in("lena")
    program.connected(browser, web.tenant.pk)
    agent = Agent.objects.get(application__client_id=program.client_id)
    if how == "disconnected":
        browser.post(f"/agents/{agent.pk}/disconnect/")
    elif how == "switched off":
        with web.processes.acting_as("migrator"):
            Agent.objects.filter(pk=agent.pk).update(is_active=False)
    else:
        browser = sign_in("gus")
    would_go(browser.get(program.asks(scope="admin")))


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://evil.example/callback",
        "http://127.0.0.1:8123/callback/../elsewhere",
        "http://127.0.0.1:8123/callback?next=https://evil.example",
        "http://127.0.0.1:8123/callback#",
        "http://127.0.0.1:8123/CALLBACK",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:8123\n/callback",
        "http://evil@127.0.0.1:8123/callback",
        "http://127.0.0.1.evil.example:8123/callback",
        "http://localhost:8123/callback",
        "HTTP://127.0.0.1:8123/callback",
        "https://127.0.0.1:8123/callback",
        "http://[::1:8123/callback",
        "javascript:alert(1)//127.0.0.1/callback",
        "//evil.example/callback",
        "",
    ],
)
def test_nobody_is_sent_to_an_address_that_was_not_registered(
    web: World, program: Program, sign_in: SignIn, redirect_uri: str
) -> None:
    """RFC 9700, section 2.1: exact comparison. Attack: an open redirect, and a code that goes to somebody else."""
    for answer in both(sign_in("lena"), program.asks(redirect_uri=redirect_uri), web):
        assert answer.status_code == 400
        assert "Location" not in answer
        assert "This program cannot be connected" in answer.content.decode()
    assert nothing_came_of_it(program)


def test_an_https_redirect_is_compared_letter_by_letter(web: World, sign_in: SignIn) -> None:
    program = Program.registered(web, redirects="https://desk.example/cb")
    browser = sign_in("lena")
    assert browser.get(program.asks()).status_code == 200
    for other in (
        "https://desk.example:443/cb",
        "https://DESK.example/cb",
        "https://desk.example/cb/",
        "https://desk.example/cb;x",
        "https://desk.example:99999/cb",
    ):
        assert browser.get(program.asks(redirect_uri=other)).status_code == 400, other


@pytest.mark.parametrize(
    "client_id", ["nobody", "", "https://nobody.invalid/client.json", "x" * 3000, "\ud83d"]
)
def test_a_program_that_is_not_known_is_said_to_the_person(
    web: World, program: Program, sign_in: SignIn, client_id: str
) -> None:
    asked = program.asks(client_id=client_id.encode("utf-8", "surrogatepass"))
    for answer in both(sign_in("lena"), asked, web):
        assert answer.status_code == 400
        assert "Location" not in answer


@pytest.mark.parametrize(
    "query",
    ["client_id=%00", "client_id=x&%00=y", "client_id=%zz", "client_id=%ff%fe", "state=" + "x" * 10_000, "%"],
)
def test_an_address_that_cannot_be_read_is_an_ordinary_refusal(
    web: World, program: Program, sign_in: SignIn, query: str
) -> None:
    for url in (f"/o/authorize/?{query}", f"{program.asks()}&{query}"):
        for answer in both(sign_in("lena"), url, web):
            assert answer.status_code == 400
            assert "Location" not in answer
    assert nothing_came_of_it(program)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "scope", "state", "response_type"])
def test_a_parameter_that_comes_twice_is_refused(
    web: World, program: Program, sign_in: SignIn, name: str
) -> None:
    """RFC 6749, section 3.1."""
    for answer in both(sign_in("lena"), f"{program.asks()}&{name}=another", web):
        assert answer.status_code == 400
    assert nothing_came_of_it(program)


def test_what_openid_adds_is_neither_kept_nor_a_way_to_break_it(
    web: World, program: Program, sign_in: SignIn
) -> None:
    asked = program.asks(nonce="n" * 3000, claims='{"userinfo": 1}', prompt="create login", max_age="x")
    code = came_back(sign_in("lena").post(asked, {**YES, "tenant": str(web.tenant.pk)}))["code"]
    grant = Grant.objects.get(code=code)
    assert (grant.nonce, grant.claims) == ("", "{}")


def test_a_program_that_asks_for_nothing_may_read(web: World, program: Program, sign_in: SignIn) -> None:
    token = program.connected(sign_in("lena"), web.tenant.pk, scope=None)
    assert token["scope"] == "mcp:read"


def test_no_method_but_get_and_post_is_served(web: World, program: Program, sign_in: SignIn) -> None:
    browser = sign_in("lena")
    for method in ("put", "delete", "patch", "options", "head"):
        answer = getattr(browser, method)(program.asks())
        assert answer.status_code == 405
    assert nothing_came_of_it(program)
