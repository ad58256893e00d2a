"""Every code that the API refuses with: for the page about it, and as examples in its document."""

from collections.abc import Mapping
from dataclasses import dataclass

from approvals import errors
from approvals.api.examples import HOST
from approvals.api.problems import STATUS_OF
from approvals.errors import CountersignError

# What fills the names in a refusal's sentence.
SAMPLES: Mapping[type[CountersignError], Mapping[str, object]] = {
    errors.SwitchedOff: {"what": "every call of this agent", "reason": "It asks for the same.", "still": ""},
    errors.MethodNotAllowed: {"methods": "GET and HEAD"},
    errors.LimitReached: {"limit": "240 calls of the API a minute", "seconds": 7},
    errors.NotFound: {"thing": "request", "id": "4f7c2b9e-0f3a-4a53-9d57-0f6a2f3f8a11"},
    errors.MoveRefused: {"status": "denied", "wanted": "approved"},
    errors.SelfApproval: {"why": "the agent that asked is yours"},
    errors.NotEntitled: {"roles": "support lead"},
    errors.NotYourTurn: {"roles": "support lead"},
    errors.PlacesTaken: {"roles": "finance"},
    errors.PageOutdated: {"changed": "the facts"},
    errors.PolicyForbids: {"because": "The payment was refunded already."},
    errors.RequestAltered: {"what": "the headline"},
    errors.BudgetExceeded: {"budget": "This would pass the budget refunds_a_day by 29.00 USD."},
    errors.OperatorOnly: {"role": "operator"},
    errors.StepUpNeeded: {"review_url": f"{HOST}/requests/4f7c2b9e-0f3a-4a53-9d57-0f6a2f3f8a10/"},
    errors.RequestUnreadable: {"problem": "it has more parameters than there are"},
    errors.BodyUnreadable: {"problem": "line 1, column 2: Expecting property name enclosed in double quotes"},
    errors.BodyTooLarge: {"most": 65536},
    errors.FieldsWrong: {
        "problems": "colour: There is no such field",
        "errors": [{"name": "colour", "problem": "There is no such field."}],
    },
}


@dataclass(frozen=True)
class Code:
    """One refusal, as it may read."""

    code: str
    status: int
    sentence: str


def codes() -> tuple[Code, ...]:
    """By status, then by code."""
    every = [
        Code(one.code, status, str(one))
        for one, status in ((sample(kind), of) for kind, of in STATUS_OF.items())
    ]
    return tuple(sorted(every, key=lambda code: (code.status, code.code)))


def sample(kind: type[CountersignError]) -> CountersignError:
    """A refusal as it may come."""
    return kind(**SAMPLES.get(kind, {}))
