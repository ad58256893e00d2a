"""Every address of the REST API."""

from django.urls import path, re_path

from approvals.api.agents import AgentsEndpoint, DisconnectEndpoint, MineEndpoint
from approvals.api.document import DocumentEndpoint
from approvals.api.me import MeEndpoint, NothingEndpoint
from approvals.api.policies import PoliciesEndpoint, PolicyEndpoint
from approvals.api.requests import RequestEndpoint, RequestsEndpoint, VotesEndpoint, WithdrawEndpoint
from approvals.api.switches import SwitchesEndpoint, SwitchOffEndpoint
from approvals.api.trail import RequestTrailEndpoint, TrailEndpoint

app_name = "api"
urlpatterns = [
    path("requests/", RequestsEndpoint.as_view(), name="requests"),
    path("requests/<uuid:request_id>/", RequestEndpoint.as_view(), name="request"),
    path("requests/<uuid:request_id>/votes/", VotesEndpoint.as_view(), name="votes"),
    path("requests/<uuid:request_id>/withdraw/", WithdrawEndpoint.as_view(), name="withdraw"),
    path("requests/<uuid:request_id>/trail/", RequestTrailEndpoint.as_view(), name="request_trail"),
    path("trail/", TrailEndpoint.as_view(), name="trail"),
    path("policies/", PoliciesEndpoint.as_view(), name="policies"),
    path("policies/<int:number>/", PolicyEndpoint.as_view(), name="policy"),
    path("agents/", AgentsEndpoint.as_view(), name="agents"),
    path("agents/mine/", MineEndpoint.as_view(), name="mine"),
    path("agents/<uuid:agent_id>/disconnect/", DisconnectEndpoint.as_view(), name="disconnect"),
    path("switches/", SwitchesEndpoint.as_view(), name="switches"),
    path("switches/<uuid:switch_id>/off/", SwitchOffEndpoint.as_view(), name="switch_off"),
    path("me/", MeEndpoint.as_view(), name="me"),
    path("schema/", DocumentEndpoint.as_view(), name="schema"),
    re_path(r"", NothingEndpoint.as_view()),
]
