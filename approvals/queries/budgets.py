"""What budgets leave for one request, as the person who decides needs it."""

from dataclasses import dataclass, replace

from django.utils import timezone

from approvals import borrowed, budgets, judge
from approvals.errors import BudgetsUnknown
from approvals.models import ApprovalRequest
from approvals.states import OPEN
from policies.durations import in_words
from policies.usage import Dimension, Room


@dataclass(frozen=True)
class Budget:
    """One cap: what is used of it without the request, what the request takes, and what is left with it. In words."""

    name: str
    per: tuple[Dimension, ...]
    window: str
    used: str
    cap: str
    takes: str
    left: str
    over_by: str  # "" where it fits
    used_share: int  # of the cap, in hundredths: what is used, and what the request takes of the rest
    takes_share: int


@dataclass(frozen=True)
class Budgets:
    """Every cap that concerns a request. `unknown` where the policy in force has budgets and cannot be read."""

    found: tuple[Budget, ...] = ()
    unknown: bool = False

    @property
    def no_room(self) -> bool:
        """Whether an approval that completes the quorum now would be refused."""
        return any(budget.over_by for budget in self.found)


def budgets_for(request: ApprovalRequest) -> Budgets:
    """Of a request that is not finished, by the policy in force; in the tenant's scope."""
    if request.status not in OPEN:
        return Budgets()
    try:
        usages = judge.budgets_of(judge.in_force(), request.action)
    except BudgetsUnknown:
        return Budgets(unknown=True)
    rooms = budgets.left(usages, _counted(request), timezone.now())
    return Budgets(tuple(_budget(room) for room in rooms))


def _counted(request: ApprovalRequest) -> budgets.Counted:
    """Of an exercise as of the newest real request in the same name: its own agent has never spent anything."""
    it = budgets.counted(request)
    if (newest := borrowed.alike(request)) is request:
        return it
    alike = budgets.counted(newest)
    return replace(it, agent=alike.agent, principal=alike.principal)


def _budget(room: Room) -> Budget:
    def written(value: int) -> str:
        return room.usage.written(value, room.currency)

    after = room.cap - room.used - room.takes
    return Budget(
        name=room.usage.name.replace("_", " "),
        per=room.usage.per,
        window=in_words(room.usage.window),
        used=written(room.used),
        cap=written(room.cap),
        takes=written(room.takes),
        left=written(max(after, 0)),
        over_by=written(-after) if after < 0 else "",
        used_share=(used := _share(room.used, room.cap)),
        takes_share=_share(room.used + room.takes, room.cap) - used,
    )


def _share(part: int, whole: int) -> int:
    return 100 if part >= whole else 100 * part // whole
