"""Every address of the pages and of the OAuth server. Sign-up and password reset have none: operators invite."""

from allauth.account import views as allauth
from django.urls import include, path
from oauth2_provider import urls as oauth
from oauth2_provider.views.metadata import OAuthServerMetadataView

from approvals.views import account, auditor, reviewer
from approvals.views.tokens import RevokeTokenView, TokenView

accounts = [
    path("login/", allauth.login, name="account_login"),
    path("logout/", allauth.logout, name="account_logout"),
    path("signup/", allauth.signup, name="account_signup"),  # says that it is closed
    path("inactive/", allauth.account_inactive, name="account_inactive"),
]

# Of the library's many endpoints only the two that a headless agent needs.
tokens = [
    path("token/", TokenView.as_view(), name="token"),
    path("revoke_token/", RevokeTokenView.as_view(), name="revoke-token"),
]

urlpatterns = [
    path("", reviewer.queue_page, name="queue"),
    path("requests/<uuid:request_id>/", reviewer.request_page, name="request"),
    path("requests/<uuid:request_id>/decide/", reviewer.decide_page, name="decide"),
    path("requests/<uuid:request_id>/trail/", auditor.request_trail_page, name="request_trail"),
    path("decided/", reviewer.decided_page, name="decided"),
    path("trail/", auditor.trail_page, name="trail"),
    path("tenant/", account.choose_tenant, name="choose_tenant"),
    path("healthz", account.healthz, name="healthz"),
    path("accounts/", include(accounts)),
    path("o/", include((tokens, oauth.app_name))),
    path(".well-known/oauth-authorization-server", OAuthServerMetadataView.as_view()),
]

handler400 = account.bad_request
handler403 = account.forbidden
handler404 = account.missing
handler500 = account.broken
