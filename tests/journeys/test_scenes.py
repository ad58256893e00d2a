"""The scenes show every page: whoever adds one adds it to them, and so to the pictures and to what axe reads."""

from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver, resolve

from tests.journeys.scenes import OUTSIDE, at_work
from tests.world import World

# What is no page: it takes a form and leads on or answers as the page of the form (moments.py), is a file, or is for
# programs.
NO_PAGE = frozenset(
    (
        *(
            "keep_view",
            "forget_view",
            "remark",
            "look",
            "claim",
            "take_over",
            "release",
            "revoke",
            "withdraw",
            "undo",
        ),
        *(
            "ask_for_changes",
            "decide",
            "bulk_decide",
            "settle",
            "break_glass_review",
            "verify",
            "export",
            "search_csv",
        ),
        *("policy_activate", "switch_on", "switch_off", "delivery_again", "disconnect", "leave", "back"),
        *(
            "receiver_add",
            "receiver_hears",
            "receiver_off",
            "receiver_on",
            "receiver_test",
            "receiver_secret",
        ),
        *("receiver_secret_end", "receiver_token", "choose_tenant", "device_answer"),
        *("sso", "sso_callback", "sso_again", "healthz"),
        *("dcr-register", "device-authorization", "token", "revoke-token"),
    )
)

# By a person's second factors (factors.py), and by what somebody does (moments.py).
ELSEWHERE = frozenset(
    (
        *(
            "mfa_activate_totp",
            "mfa_deactivate_totp",
            "mfa_add_webauthn",
            "mfa_remove_webauthn",
            "mfa_authenticate",
        ),
        *("mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_reauthenticate"),
        *("mfa_reauthenticate_webauthn", "bulk"),
    )
)


def test_every_page_is_in_the_pictures(world: World) -> None:
    shown = {resolve(path.partition("?")[0]).url_name for _, path in at_work(world).pages.values()}
    shown |= {resolve(path).url_name for path in OUTSIDE.values()}
    shown |= ELSEWHERE
    named = {name for name in _names(get_resolver()) if not name.startswith("api-")}
    assert named - shown - NO_PAGE == set()
    assert NO_PAGE - named == set() and NO_PAGE & shown == set()


def _names(of: URLResolver) -> Iterator[str]:
    for pattern in of.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from () if str(pattern.pattern) == "api/v1/" else _names(pattern)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield pattern.name
