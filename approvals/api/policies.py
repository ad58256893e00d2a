"""Policy versions: which there are, which one is in force, and what each says. For every member."""

from rest_framework.request import Request
from rest_framework.response import Response

from approvals import errors
from approvals.api.endpoint import Endpoint, shown
from approvals.api.examples import POLICIES, POLICY
from approvals.api.schema import described
from approvals.api.shapes.parts import paged
from approvals.api.shapes.policies import Policies, Policy
from approvals.api.shapes.strict import Paged
from approvals.queries import policies, policy_view


class PoliciesEndpoint(Endpoint):
    wanted = "policies"

    @described(
        "List policy versions",
        "Every version of your company's policy, the newest first. `is_active` is the one in force.",
        asks=Paged,
        answers=Policies,
        refuses=(errors.PeopleOnly,),
        examples={"versions": POLICIES},
    )
    def get(self, request: Request) -> Response:
        by, asked = self.who.person, self.asked(Paged)
        return shown(Policies, paged(policies(by, **asked), request.path, request.query_params))


class PolicyEndpoint(Endpoint):
    wanted = "policy"

    @described(
        "Show a policy version",
        "One version with its document, and when people put it in force.",
        answers=Policy,
        refuses=(errors.NotFound, errors.PeopleOnly),
        examples={"a version": POLICY},
    )
    def get(self, request: Request, number: int) -> Response:
        return shown(Policy, policy_view(number, self.who.person))
