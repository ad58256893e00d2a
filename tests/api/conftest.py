"""Callers of the API in the web process."""

from tests.views.conftest import sign_in, web  # noqa: F401 - fixtures
