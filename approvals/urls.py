"""Every address of the pages and of the OAuth server. Sign-up and password reset have none: operators invite."""

from allauth.account import views as allauth
from django.conf import settings
from django.urls import include, path
from oauth2_provider import urls as oauth

from approvals.api import outside
from approvals.api.codes import codes
from approvals.api.document import metadata
from approvals.views import (
    account,
    agents,
    api,
    attention,
    auditor,
    away,
    break_glass,
    budgets,
    bulk,
    changes,
    claims,
    dashboard,
    deliveries,
    discuss,
    doubt,
    factors,
    fresh_look,
    mail,
    operator,
    payloads,
    people,
    policy,
    queue,
    receivers,
    reviewer,
    search,
    second_factor,
    simulation,
    sso,
    taking,
    tools,
    undoing,
    verification,
)
from approvals.views.oauth.authorize import AuthorizationView
from approvals.views.oauth.device import BeginView, device_answer_page, device_page
from approvals.views.oauth.metadata import MetadataView
from approvals.views.oauth.registration import register
from approvals.views.oauth.tokens import RevokeTokenView, TokenView

accounts = [
    path("login/", sso.login_page, name="account_login"),
    path("logout/", allauth.logout, name="account_logout"),
    path("signup/", allauth.signup, name="account_signup"),  # says that it is closed
    path("inactive/", allauth.account_inactive, name="account_inactive"),
    path("sso/", sso.begin_page, name="sso"),
    path("sso/callback/", sso.callback_page, name="sso_callback"),
    path("sso/again/", sso.again_page, name="sso_again"),
    path("reauthenticate/", factors.prove_by_password_page, name="account_reauthenticate"),
    path("security/", factors.factors_page, name="mfa_index"),
    path("security/sign-in/", second_factor.second_factor_page, name="mfa_authenticate"),
    path("security/prove/", factors.prove_by_code_page, name="mfa_reauthenticate"),
    path("security/prove/passkey/", factors.prove_by_passkey_page, name="mfa_reauthenticate_webauthn"),
    path("security/app/", factors.add_app_page, name="mfa_activate_totp"),
    path("security/app/remove/", factors.remove_app_page, name="mfa_deactivate_totp"),
    path("security/passkey/", factors.add_passkey_page, name="mfa_add_webauthn"),
    path("security/passkey/<int:pk>/remove/", factors.remove_passkey_page, name="mfa_remove_webauthn"),
    path("security/codes/", factors.codes_page, name="mfa_view_recovery_codes"),
    path("security/codes/new/", factors.new_codes_page, name="mfa_generate_recovery_codes"),
]

# Of the library's many endpoints only those that are used here.
tokens = [
    path("authorize/", AuthorizationView.as_view(), name="authorize"),
    path("register/", register, name="dcr-register"),
    path("device-authorization/", BeginView.as_view(), name="device-authorization"),
    path("token/", TokenView.as_view(), name="token"),
    path("revoke_token/", RevokeTokenView.as_view(), name="revoke-token"),
]

urlpatterns = [
    path("", queue.queue_page, name="queue"),
    path("views/", queue.keep_view_page, name="keep_view"),
    path("views/<uuid:view_id>/forget/", queue.forget_view_page, name="forget_view"),
    path("requests/<uuid:request_id>/", reviewer.request_page, name="request"),
    path("requests/<uuid:request_id>/decide/", reviewer.decide_page, name="decide"),
    path("requests/<uuid:request_id>/remark/", discuss.remark_page, name="remark"),
    path("requests/<uuid:request_id>/look/", fresh_look.look_page, name="look"),
    path("requests/<uuid:request_id>/claim/", claims.claim_page, name="claim"),
    path("requests/<uuid:request_id>/take-over/", claims.take_over_page, name="take_over"),
    path("requests/<uuid:request_id>/release/", claims.release_page, name="release"),
    path("requests/<uuid:request_id>/revoke/", claims.revoke_page, name="revoke"),
    path("requests/<uuid:request_id>/withdraw/", claims.withdraw_page, name="withdraw"),
    path("requests/<uuid:request_id>/undo/", undoing.undo_page, name="undo"),
    path("requests/<uuid:request_id>/changes/", changes.ask_for_changes_page, name="ask_for_changes"),
    path("requests/<uuid:request_id>/trail/", auditor.request_trail_page, name="request_trail"),
    path("requests/<uuid:request_id>/compare/", auditor.compare_page, name="compare"),
    path("together/", bulk.bulk_page, name="bulk"),
    path("together/decide/", bulk.bulk_decide_page, name="bulk_decide"),
    path("requests/<uuid:request_id>/break-glass/", break_glass.push_page, name="break_glass"),
    path("in-doubt/", doubt.in_doubt_page, name="in_doubt"),
    path("requests/<uuid:request_id>/settle/", doubt.settle_page, name="settle"),
    path("requests/<uuid:request_id>/payload/", payloads.payload_page, name="payload"),
    path("break-glass/", break_glass.uses_page, name="break_glass_uses"),
    path("break-glass/<uuid:glass_id>/review/", break_glass.review_page, name="break_glass_review"),
    path("decided/", reviewer.decided_page, name="decided"),
    path("how-we-decide/", attention.attention_page, name="attention"),
    path("trail/", auditor.trail_page, name="trail"),
    path("trail/search/", search.search_page, name="search"),
    path("trail/search/csv/", taking.csv_page, name="search_csv"),
    path("trail/verification/", verification.verification_page, name="verification"),
    path("trail/verify/", verification.verify_page, name="verify"),
    path("trail/take-away/", taking.take_away_page, name="take_away"),
    path("trail/export/", taking.export_page, name="export"),
    path("trail/who-looked/", auditor.who_looked_page, name="who_looked"),
    path("budgets/", budgets.budgets_page, name="budgets"),
    path("policy/", policy.versions_page, name="policy"),
    path("policy/propose/", policy.propose_page, name="policy_propose"),
    path("policy/<int:number>/", policy.version_page, name="policy_version"),
    path("policy/<int:number>/activate/", policy.activate_page, name="policy_activate"),
    path("switches/", operator.switches_page, name="switches"),
    path("switches/on/", operator.stop_page, name="switch_on"),
    path("switches/<uuid:switch_id>/off/", operator.go_on_page, name="switch_off"),
    path("receivers/", receivers.receivers_page, name="receivers"),
    path("receivers/add/", receivers.add_page, name="receiver_add"),
    path("receivers/<uuid:receiver_id>/", receivers.receiver_page, name="receiver"),
    path("receivers/<uuid:receiver_id>/hears/", receivers.hear_page, name="receiver_hears"),
    path("receivers/<uuid:receiver_id>/off/", receivers.switch_page, {"on": False}, name="receiver_off"),
    path("receivers/<uuid:receiver_id>/on/", receivers.switch_page, {"on": True}, name="receiver_on"),
    path("receivers/<uuid:receiver_id>/test/", receivers.test_page, name="receiver_test"),
    path("receivers/<uuid:receiver_id>/secret/", receivers.renew_page, name="receiver_secret"),
    path("receivers/<uuid:receiver_id>/secret/end/", receivers.end_page, name="receiver_secret_end"),
    path("receivers/<uuid:receiver_id>/token/", receivers.token_page, name="receiver_token"),
    path("deliveries/", deliveries.deliveries_page, name="deliveries"),
    path("deliveries/<uuid:message_id>/again/", deliveries.again_page, name="delivery_again"),
    path("policy/simulation/", simulation.simulation_page, name="simulation"),
    path("operations/", dashboard.dashboard_page, name="operations"),
    path("operations/agents/", agents.every_agent_page, name="every_agent"),
    path("tools/", tools.tools_page, name="tools"),
    path("people/", people.people_page, name="people"),
    path("agents/", agents.agents_page, name="agents"),
    path("agents/<uuid:agent_id>/disconnect/", agents.disconnect_page, name="disconnect"),
    path("away/", away.away_page, name="away"),
    path("away/leave/", away.leave_page, name="leave"),
    path("away/<uuid:delegation_id>/back/", away.back_page, name="back"),
    path("mail/", mail.mail_page, name="mail"),
    path("tenant/", account.choose_tenant, name="choose_tenant"),
    path("healthz", account.healthz, name="healthz"),
    path("accounts/", include(accounts)),
    path("api/", api.api_page, {"refusals": codes()}, name="api"),
    path("api/v1/", include("approvals.api.urls")),
]

# Where another issuer's tokens open the door, ours is no issuer at all.
if not settings.TOKEN_ISSUER:
    urlpatterns += [
        path("device/", device_page, name="device"),
        path("device/answer/", device_answer_page, name="device_answer"),
        path("o/", include((tokens, oauth.app_name))),
        path(".well-known/oauth-authorization-server", MetadataView.as_view()),
        path(".well-known/oauth-protected-resource/api", metadata),
    ]

handler400 = outside.bad_request(account.bad_request)
handler403 = account.forbidden
handler404 = account.missing
handler500 = outside.broken(account.broken)
