"""A person's second factors, page by page, in a browser whose authenticator is a virtual one."""

import time
from collections.abc import Iterator

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, expect

from tests.journeys.site import PASSWORD
from tests.world import World

WHO = "gus"


def walk(world: World, page: Page) -> Iterator[str]:
    """Adds an app and a passkey and looks at what there is to see; yields the name of each page that is shown.

    At the end gus has neither, and is signed out of this window.
    """
    with_authenticator(page)
    try:
        _open(page, "/accounts/security/app/")
        yield "factor-app"
        page.get_by_label("Code").fill(_code(page.locator("#totp-key").inner_text()))
        page.get_by_role("button", name="Add the app").click()
        page.goto("/accounts/security/codes/")
        yield "recovery-codes-before"
        page.get_by_role("button", name="Show them now").click()
        yield "recovery-codes"
        page.goto("/accounts/security/passkey/")
        yield "factor-passkey"
        page.get_by_label("Name").fill("The laptop")
        page.get_by_role("button", name="Add the passkey").click()
        expect(page.get_by_text("The laptop", exact=True).first).to_be_visible()
        yield "security-with-factors"
        for name, link in (
            ("factor-app-remove", "Remove the app"),
            ("factor-passkey-remove", "Remove The laptop"),
        ):
            page.goto("/accounts/security/")
            page.get_by_role("link", name=link).click()
            yield name
        for name, path in (
            ("recovery-codes-new", "/accounts/security/codes/new/"),
            ("prove-by-code", "/accounts/security/prove/"),
            ("prove-by-passkey", "/accounts/security/prove/passkey/"),
        ):
            page.goto(path)
            yield name
        page.context.clear_cookies()
        page.goto("/accounts/login/")
        page.get_by_label("E-mail address").fill(world.people[WHO].email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", name="Your second factor")).to_be_visible()
        yield "second-factor"
    finally:
        with world.processes.acting_as("migrator"):
            Authenticator.objects.filter(user=world.people[WHO]).delete()


def with_authenticator(page: Page) -> None:
    """A passkey of this device, which always says yes (WebAuthn, by the browser's own protocol)."""
    protocol = page.context.new_cdp_session(page)
    protocol.send("WebAuthn.enable")
    protocol.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
            }
        },
    )


def _open(page: Page, path: str) -> None:
    """Proves by password on the way, where that is asked for."""
    page.goto(path)
    if page.get_by_label("Password").is_visible():
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Go on").click()


def _code(key: str) -> str:
    """What an app shows now (RFC 6238, thirty seconds)."""
    return str(format_hotp_value(hotp_value(key, int(time.time()) // 30)))
