"""A draft against history: which requests that were decided would have been judged otherwise, and how.

Nothing is looked up again: each request is judged with the arguments, facts, requester and time that it was judged
with, and with what the document counts as it stood at that time. One finding a request that there is something to say
of, and progress between them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from .context import Context
from .judge import judge
from .rules import Document
from .usage import Room, rooms
from .verdicts import AutoApprove, Deny, Require, Verdict, demands, stricter

PROGRESS_EVERY = 500


class Change(StrEnum):
    """How a draft's verdict differs from the recorded one."""

    REFUSES = "refuses"
    CANNOT_TELL = "cannot tell"
    ASKS_NOBODY = "asks nobody"
    ASKS_PEOPLE = "asks people"
    ASKS_LESS = "asks less"
    ASKS_MORE = "asks more"
    ASKS_OTHERWISE = "asks otherwise"
    WAITS_OTHERWISE = "waits otherwise"
    LETS_IN = "lets in"


# In words for people; the value of each goes to programs.
WORDS = {
    Change.REFUSES: "would be refused",
    Change.CANNOT_TELL: "a rule could not be worked out, so people would decide",
    Change.ASKS_NOBODY: "would be approved without asking anybody",
    Change.ASKS_PEOPLE: "would ask people, and asked nobody",
    Change.ASKS_LESS: "would ask for less",
    Change.ASKS_MORE: "would ask for more",
    Change.ASKS_OTHERWISE: "would ask for something else",
    Change.WAITS_OTHERWISE: "would be carried out at other times",
    Change.LETS_IN: "would no longer be refused",
}


@dataclass(frozen=True, slots=True)
class Decided:
    """A request as it was judged. Money is in minor units; `version` is that of the policy, None for none.

    `at_least` is what holds for its action whatever a document says. `usage` has, by a document's digest, what that
    document counts, where it is not what was recorded.
    """

    id: str
    action: str
    headline: str
    context: Context
    verdict: Verdict
    fallback_role: str
    version: int | None
    amount_minor: int | None = None
    currency: str = ""
    at_least: Verdict | None = None
    usage: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def judged_by(self, document: Document | None) -> Verdict:
        """What a document says to it."""
        said = judge(document, self.action, self._under(document), fallback_role=self.fallback_role)
        return stricter(self.at_least, said) if self.at_least else said

    def no_room_in(self, document: Document | None) -> tuple[Room, ...]:
        """The budgets of a document that it would have passed when it was judged."""
        if document is None:
            return ()
        it = self._under(document)
        found = rooms(document.usages(self.action), it.usage, it.amount_minor, it.currency)
        return tuple(room for room in found if room.is_over)

    def _under(self, document: Document | None) -> Context:
        if self.usage and document and document.digest in self.usage:
            return replace(self.context, usage=self.usage[document.digest])
        return self.context


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A request that cannot be judged again, such as one of an action that is no longer offered.

    `is_gone`: what it asked for was erased, as its time was over.
    """

    id: str
    because: str
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """A request that the draft judges otherwise."""

    request: Decided
    change: Change
    becomes: Verdict


@dataclass(frozen=True, slots=True)
class NoRoom:
    """A request that the draft's budgets had no room for, where those in force had: nobody could have approved it."""

    request: Decided
    because: str


@dataclass(frozen=True, slots=True)
class NotReproduced:
    """The policy in force does not say what was recorded."""

    request: Decided
    says: Verdict


@dataclass(frozen=True, slots=True)
class Progress:
    """How many requests are done."""

    done: int


Finding = Changed | NoRoom | NotReproduced | Unreadable | Progress


def backtest(
    draft: Document, current: Document | None, requests: Iterable[Decided | Unreadable]
) -> Iterator[Finding]:
    """Judge every request under the draft, and under the policy in force; the last finding is the final progress."""
    done = 0
    for done, request in enumerate(requests, 1):
        if isinstance(request, Unreadable):
            yield request
        else:
            yield from _judged(draft, current, request)
        if done % PROGRESS_EVERY == 0:
            yield Progress(done)
    yield Progress(done)


def _judged(draft: Document, current: Document | None, request: Decided) -> Iterator[Finding]:
    says = request.judged_by(current)
    if says != request.verdict:
        yield NotReproduced(request, says)
    becomes = request.judged_by(draft)
    if change := change_of(request.verdict, becomes):
        yield Changed(request, change, becomes)
    if (
        (full := request.no_room_in(draft))
        and not isinstance(becomes, Deny)
        and not request.no_room_in(current)
    ):
        yield NoRoom(request, " ".join(map(str, full)))


def change_of(was: Verdict, becomes: Verdict) -> Change | None:
    """How the second verdict differs in what it lets happen; None where only words differ, or nothing."""
    if isinstance(becomes, Require) and becomes.error and not (isinstance(was, Require) and was.error):
        return Change.CANNOT_TELL
    match was, becomes:
        case Deny(), Deny():
            return None
        case _, Deny():
            return Change.REFUSES
        case Deny(), _:
            return Change.LETS_IN
        case AutoApprove(), Require():
            return Change.ASKS_PEOPLE
        case Require(), AutoApprove():
            return Change.ASKS_NOBODY
        case Require(), Require():
            return _asks(was, becomes)
        case AutoApprove(), AutoApprove() if _times(was) != _times(becomes):
            return Change.WAITS_OTHERWISE
    return None


def _times(one: AutoApprove) -> tuple[object, ...]:
    return one.valid_for, set(one.windows)


def _asks(was: Require, becomes: Require) -> Change | None:
    more, less = demands(becomes, was), demands(was, becomes)
    if more and less:
        return None
    return Change.ASKS_MORE if more else Change.ASKS_LESS if less else Change.ASKS_OTHERWISE


@dataclass
class Summary:
    """What a backtest came to. Money is in minor units, by change and currency."""

    done: int = 0
    changes: Counter[Change] = field(default_factory=Counter)
    money: Counter[tuple[Change, str]] = field(default_factory=Counter)
    no_room: int = 0
    not_reproduced: int = 0
    # Of these: judged by the version that is in force, which has to say the same of the same.
    unexplained: int = 0
    unreadable: int = 0
    gone: int = 0

    def add(self, finding: Finding, current: int | None = None) -> None:
        """`current` is the number of the version in force."""
        match finding:
            case Progress(done):
                self.done = done
            case Changed(request, change):
                self.changes[change] += 1
                if request.amount_minor is not None:
                    self.money[change, request.currency] += request.amount_minor
            case NoRoom():
                self.no_room += 1
            case NotReproduced(request):
                self.not_reproduced += 1
                self.unexplained += request.version == current
            case Unreadable(is_gone=True):
                self.gone += 1
            case Unreadable():
                self.unreadable += 1

    @property
    def changed(self) -> int:
        return sum(self.changes.values())

    @property
    def judged(self) -> int:
        return self.done - self.unreadable - self.gone
