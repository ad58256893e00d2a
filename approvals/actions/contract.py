"""What an action declares: the contract that each file in this folder fills in."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from approvals import backing
from approvals.actions.practice import Known
from approvals.backing import Backing
from approvals.errors import NoAnswer
from approvals.states import Status
from policies.verdicts import Verdict

Reason = Annotated[
    str,
    Field(
        min_length=10,
        max_length=500,
        pattern=r"^[^\x00]*$",  # PostgreSQL keeps every character but this one
        description="Why this is needed, in a sentence or two for the person who decides (10 to 500 characters)",
    ),
]
# No control character and no line break, so that what stands on one line was meant for one line.
ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
_REFERENCE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,200}")
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Risk: TypeAlias = Literal["low", "medium", "high"]
# Of what keeps its keys with its record, as our own database does.
FOR_EVER = timedelta.max


class Arguments(BaseModel):
    """What the agent claims. Strict: "5" is not 5, and an unknown field is an error."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        str_strip_whitespace=True,
        hide_input_in_errors=True,  # an error may reach a log, and a log holds no payload
    )

    reason: Reason


class Facts(BaseModel):
    """What was looked up. Only declared fields are kept of whatever the backing API sends."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


@dataclass(frozen=True)
class Money:
    """An amount in minor units of an ISO 4217 currency."""

    minor: int
    currency: str


@dataclass(frozen=True)
class Receipt:
    """Proof from the backing API that a write happened: its own reference, of 1 to 200 characters on one line.

    One that came to nothing is on record there too: it was taken and then failed, as a refund may that a bank
    sends back. Raises NoAnswer for a reference that is none: what became of the write is then looked up.
    """

    reference: str
    summary: str
    came_to_nothing: bool = False

    def __post_init__(self) -> None:
        given: object = self.reference  # of somebody else's answer, which may hold anything
        if not (isinstance(given, str) and _REFERENCE.fullmatch(given)):
            raise NoAnswer

    @property
    def ends(self) -> Status:
        """How a request ends by it: on record it is in both cases, and another attempt would change neither."""
        return Status.FAILED if self.came_to_nothing else Status.SUCCEEDED


@dataclass(frozen=True)
class NotReversible:
    """There is no inverse; the page says so before the decision."""

    because: str


A = TypeVar("A", bound=Arguments)
F = TypeVar("F", bound=Facts)


@dataclass(frozen=True)
class Canary(Generic[A, F]):
    """A made-up request that a careful reviewer denies, and what there is to see on it, in a sentence or two.

    What is wrong must be plain on the page: an exercise, and no trick.
    """

    arguments: A
    facts: F
    clue: str


class Action(ABC, Generic[A, F]):
    """One kind of sensitive write."""

    name: ClassVar[str]
    asked_by: ClassVar[Literal["agent", "person"]] = "agent"
    """Who may ask for it: agents by its tool, or people on our pages, and then no agent is offered it."""
    tool: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    version: ClassVar[int]
    owner: ClassVar[str]
    """The role that answers for this action, and decides where no rule says who."""
    risk: ClassVar[Risk]
    sensitive: ClassVar[frozenset[str]] = frozenset()
    """Fields of arguments and facts that stay out of logs, messages, the permanent trail, and of what is shown of a
    request when it is finished. Whatever else is kept of it, such as its headline, must not tell them either."""
    threats: ClassVar[tuple[str, ...]]
    inverse: ClassVar[str | NotReversible]
    """What undoes it, or why nothing does. Where there is one, `undo` says with which arguments."""
    thing: ClassVar[str]
    """What is changed, in a word: order, payment, customer."""
    thing_found_by: ClassVar[str] = ""
    """A sentence for an agent that named a thing which is not there: where it finds the id."""
    subjects: ClassVar[Mapping[str, str]] = {}
    """Whom it is about, for budgets: where the id of the `customer` and of the `order` stands, such as
    `facts.customer_id`. Always a text that is there; what is not named, no budget can tell apart."""
    echoes: ClassVar[frozenset[str]] = frozenset()
    """Facts that only repeat what others tell, or that nobody decides by: the preview leaves them out."""
    where: ClassVar[str] = "The company's system"
    """What is asked and written, as pages tell of it where it gave no answer."""
    at_once: ClassVar[int | None] = None
    """How many attempts at it may be under way at the same time, in one company; None is no limit."""
    a_minute: ClassVar[int | None] = None
    """How many attempts at it may begin within any minute, in one company; None is no limit."""
    key_lives: ClassVar[timedelta] = timedelta(hours=24)
    """How long the provider remembers an idempotency key. Later nothing is sent again, for it could be done twice."""
    index_lags: ClassVar[timedelta] = timedelta()
    """How long what has happened may be missing where `reconcile` looks: a search whose index lags proves nothing
    sooner, and then only when it is asked twice."""
    arguments: type[A]
    facts: type[F]

    @abstractmethod
    def resource_id(self, arguments: A) -> str:
        """The id of the thing that is changed, as the backing API names it."""

    @abstractmethod
    def headline(self, arguments: A, facts: F) -> str:
        """One sentence for the reviewer's queue: what would happen."""

    def amount(self, arguments: A) -> Money | None:
        """The money that would move, if any."""
        return None

    def canaries(self, known: Known) -> tuple[Canary[A, F], ...]:
        """Exercises for its reviewers, with other made-up names and numbers each time; () offers none.

        `known` is what they have seen of real ones, and no more than a wish.
        """
        return ()

    def moves_money(self) -> bool:
        """Whether `amount` was filled in."""
        return type(self).amount is not Action.amount

    def subject_ids(self, arguments: A, facts: F) -> dict[str, str]:
        """The ids behind `subjects`. One that could not be an index's key stands as its digest."""
        known = {"args": arguments, "facts": facts}
        return {subject: _plain(str(_at(known, path))) for subject, path in self.subjects.items()}

    def editor(self, arguments: A, facts: F) -> UUID | None:
        """The person who wrote what is asked for, where that is somebody else's work: no judge of it."""
        return None

    def parties(self, facts: F) -> frozenset[UUID]:
        """The people whose own matter it is, besides whoever asks: no judges of it either."""
        return frozenset()

    def at_least(self, arguments: A, facts: F) -> Verdict | None:
        """What holds whatever a policy says: a document can ask for more than this, and never for less."""
        return None

    def undo(self, arguments: A, facts: F, receipt: Receipt) -> Mapping[str, object]:
        """What puts back what was before: arguments of the inverse action, without a reason.

        `facts` are those that it was approved with, and so from before. Raises NothingToPutBack where they do not tell.
        """
        raise NotImplementedError

    def can_undo(self) -> bool:
        """Whether `undo` was filled in: wherever there is an inverse."""
        return type(self).undo is not Action.undo

    def reader(self, tenant_slug: str) -> Backing:
        """Where the facts are: the company's API, with a credential that can only read."""
        return backing.reader(tenant_slug)

    def writer(self, tenant_slug: str) -> Backing:
        """Where it is done: the company's API, with a credential that can write."""
        return backing.writer(tenant_slug)

    def goes_to(self, arguments: A, facts: F) -> str:
        """Where the money goes, after its amount: "back to the card ending in 4242". "" where none moves.

        It may tell what is `sensitive`: only who sees the whole payload sees it.
        """
        return ""

    def afterwards(self, arguments: A, facts: F) -> F | None:
        """What `look_up` would find once this was carried out and nothing else had changed: the preview on its page.

        None where these facts do not tell, such as for what would be refused.
        """
        return None

    @abstractmethod
    def look_up(self, arguments: A, reader: Backing) -> F:
        """The facts, read with a credential that cannot write. Raises as `Backing.one` does."""

    @abstractmethod
    def execute(self, arguments: A, facts: F, writer: Backing, *, key: str, reference: str) -> Receipt:
        """Do it, under an idempotency key that is the same for every attempt. Raises as `Backing.write` does."""

    @abstractmethod
    def reconcile(self, arguments: A, reader: Backing, *, reference: str) -> Receipt | None:
        """Ask whether it happened: its receipt, or None where the backing API has no record of it.

        None counts as "it never happened" only once nothing can be under way any more, nor missing from an index
        (`index_lags`). Raises as `Backing.one` does.
        """


AnyAction: TypeAlias = Action[Any, Any]


def _at(known: Mapping[str, object], path: str) -> object:
    room, *names = path.split(".")
    return reduce(getattr, names, known[room])


def _plain(identifier: str) -> str:
    is_plain = re.fullmatch(r"[\x20-\x7e]{1,200}", identifier)
    return identifier if is_plain else sha256(identifier.encode(errors="surrogatepass")).hexdigest()


def find_operation(reader: Backing, kind: str, reference: str, done: str) -> Receipt | None:
    """The shop's record of one write that carries our reference, or None when there is none.

    `done` is what has happened where there is one, in words for the agent and the reviewers.
    """
    answer = reader.get("/v1/operations", {"reference": reference})
    try:
        found = [(one["kind"], one["id"]) for one in answer["operations"] if one["reference"] == reference]
        is_ours = len(found) == len(answer["operations"])
    except (KeyError, TypeError) as error:
        raise NoAnswer(status=reader.last_status) from error  # no answer that we know
    if not is_ours:
        raise NoAnswer(status=reader.last_status)  # it answered another question
    for what, operation_id in found:
        if what == kind:
            return Receipt(operation_id, f"{done}, found by our reference")
    return None
