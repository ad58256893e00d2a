from tests.views.conftest import sign_in, web

__all__ = ["sign_in", "web"]
