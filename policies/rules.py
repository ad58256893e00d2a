"""What a policy document says, as frozen values. The field names are the words of the YAML format, version 1.

Only `documents.load` makes a document that can be judged: it also checks conditions, roles and actions.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from functools import cached_property
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

import rfc8785
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    model_validator,
)

from .conditions import Condition
from .durations import in_words, written
from .signature import Signature
from .usage import Usage
from .verdicts import (
    EXPIRES_IN,
    NO_TIME,
    VALID_FOR,
    AutoApprove,
    Deny,
    Duration,
    Escalation,
    Require,
    Stage,
    Verdict,
)
from .windows import DAYS, Day, Window

FORMAT = 1
LONGEST_SENTENCE = 500
# The database tries every set of them when it counts votes (migration 0017).
MOST_SIDE_BY_SIDE = 10
# The names of the verdicts that no rule gave; see judge.py.
RESERVED_NAMES = frozenset({"budget", "default", "error"})


def _format(number: int) -> int:
    if number != FORMAT:
        raise ValueError(f"This program reads policy format {FORMAT}; write `policy: {FORMAT}`.")
    return number


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", text) or text in RESERVED_NAMES:
        reserved = " or ".join(f"'{name}'" for name in sorted(RESERVED_NAMES))
        raise ValueError(f"A name is a-z, then a-z, 0-9, '-' or '_', at most 64, and not {reserved}.")
    return text


def _sentence(text: str) -> str:
    sentence = " ".join(text.split())
    if not 1 <= len(sentence) <= LONGEST_SENTENCE:
        raise ValueError(f"Write a sentence of 1 to {LONGEST_SENTENCE} characters here.")
    return sentence


Name = Annotated[str, AfterValidator(_name)]
Sentence = Annotated[str, AfterValidator(_sentence)]
# As an operator named the receiver.
Channel = Annotated[str, Field(min_length=1, max_length=100)]
WrittenDuration = Annotated[Duration, BeforeValidator(written)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Quorum(_Part):
    """`count` different people of this role must agree."""

    role: Name
    count: Annotated[int, Field(ge=1, le=100)]

    def stages(self, step: int) -> tuple[Stage, ...]:
        return (Stage(self.role, self.count, step),)

    def named(self) -> tuple[tuple[tuple[str | int, ...], str], ...]:
        """Where in the entry a role is written, and which."""
        return ((("role",), self.role),)


class OneFromEach(_Part):
    """One person of each of these roles must agree, side by side."""

    one_from_each: Annotated[tuple[Name, ...], Field(min_length=2, max_length=20)]

    def stages(self, step: int) -> tuple[Stage, ...]:
        return tuple(Stage(role, 1, step) for role in self.one_from_each)

    def named(self) -> tuple[tuple[tuple[str | int, ...], str], ...]:
        return tuple((("one_from_each", index), role) for index, role in enumerate(self.one_from_each))


def _asked(value: object) -> str:
    """Which of the two an entry of `require` is; for pydantic."""
    is_each = isinstance(value, OneFromEach) or (isinstance(value, Mapping) and "one_from_each" in value)
    return "<one_from_each>" if is_each else "<quorum>"


Asked = Annotated[
    Annotated[Quorum, Tag("<quorum>")] | Annotated[OneFromEach, Tag("<one_from_each>")], Discriminator(_asked)
]


def _distinct_roles(asked: tuple[Asked, ...]) -> tuple[Asked, ...]:
    roles = [stage.role for each in asked for stage in each.stages(1)]
    if len(set(roles)) < len(roles):
        raise ValueError("A role is asked twice here; ask it once, with the number of people in its count.")
    return asked


def _once(channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
    if len(set(channels)) < len(channels):
        raise ValueError("A receiver is named twice here; name it once.")
    return channels


def _truth(text: object) -> bool:
    if text not in ("true", "false"):
        raise ValueError("Write `true` or `false` here.")
    return text == "true"


Truth = Annotated[bool, BeforeValidator(_truth)]


def _day(text: object) -> Day:
    for day in DAYS:
        if text == day:
            return day
    raise ValueError(f"Write days as {', '.join(DAYS)}.")


def _distinct_days(days: tuple[Day, ...]) -> tuple[Day, ...]:
    if len(set(days)) < len(days):
        raise ValueError("A day is named twice here; name it once.")
    return days


def _clock(text: object) -> time:
    match = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", str(text))
    if match is None:
        raise ValueError('Write a time of the day in quotes: "09:00", from "00:00" to "23:59".')
    return time(int(match[1]), int(match[2]))


def _zone(name: str) -> str:
    # A place, or UTC: what an abbreviation such as EST means is not the same everywhere.
    try:
        if "/" not in name and name != "UTC":
            raise ValueError(name)
        ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise ValueError(
            f"There is no time zone '{name}'. Name a place, such as Europe/Berlin, or UTC."
        ) from error
    return name


Clock = Annotated[time, BeforeValidator(_clock)]


class Hours(_Part):
    """`window: { days, from, to, zone }`: when what the rule lets through may be carried out."""

    days: Annotated[
        tuple[Annotated[Day, BeforeValidator(_day)], ...], Field(min_length=1), AfterValidator(_distinct_days)
    ]
    opens: Annotated[Clock, Field(alias="from")]
    closes: Annotated[Clock, Field(alias="to")]
    zone: Annotated[str, AfterValidator(_zone)]

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.opens == self.closes:
            raise ValueError("This window closes when it opens: write another `from` or `to`.")
        return self

    def window(self) -> Window:
        return Window(tuple(sorted(self.days, key=DAYS.index)), self.opens, self.closes, self.zone)

    def check_waited_for(self, valid_for: timedelta, cooling_off: timedelta) -> None:
        """Raises ValueError where an approval that just missed the window would run out before the next one."""
        # An hour more than the calendar says, for the night in which clocks are set back.
        needed = self.window().longest_closed() + cooling_off + timedelta(hours=1)
        if valid_for < needed:
            raise ValueError(
                "An approval given as this window closes would run out before it opens again: "
                f"write a `valid_for` of at least {in_words(needed)}."
            )


class Denial(_Part):
    """`then: {deny: ...}`; the sentence is public, the agent may read it."""

    deny: Sentence


class Automatic(_Part):
    """`then: {auto_approve: true, window: ...}`; nobody is asked, and it is carried out in its window alone."""

    auto_approve: Annotated[Literal[True], BeforeValidator(_truth)]
    valid_for: WrittenDuration = VALID_FOR
    window: Hours | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.window:
            self.window.check_waited_for(self.valid_for, NO_TIME)
        return self

    def verdict(self, because: str, rule: str) -> AutoApprove:
        windows = (self.window.window(),) if self.window else ()
        return AutoApprove(because=because, rule=rule, valid_for=self.valid_for, windows=windows)


class Requirement(_Part):
    """`then: {require: [...]}`; people must agree in every entry, side by side or `in_order`."""

    require: Annotated[tuple[Asked, ...], Field(min_length=1, max_length=20), AfterValidator(_distinct_roles)]
    in_order: Truth = False
    expires_in: WrittenDuration = EXPIRES_IN
    valid_for: WrittenDuration = VALID_FOR
    step_up: Truth = False
    together: Truth = False
    cooling_off: WrittenDuration | None = None
    window: Hours | None = None
    escalate_after: WrittenDuration | None = None
    escalate_to: Name | None = None
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=20), AfterValidator(_once)] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.escalate_after is None) != (self.escalate_to is None):
            raise ValueError("An escalation has `escalate_after` and `escalate_to`: write both, or none.")
        if self.escalate_after and self.escalate_after >= self.expires_in:
            raise ValueError("This escalates only when the request has expired: shorten `escalate_after`.")
        if max(Counter(stage.step for stage in self.stages).values()) > MOST_SIDE_BY_SIDE:
            raise ValueError(
                f"More than {MOST_SIDE_BY_SIDE} roles are asked side by side: ask fewer, or some of them `in_order`."
            )
        if self.cooling_off and self.cooling_off >= self.valid_for:
            raise ValueError("The approval would run out while it cools off: shorten `cooling_off`.")
        if self.window:
            self.window.check_waited_for(self.valid_for, self.cooling_off or NO_TIME)
        return self

    @property
    def stages(self) -> tuple[Stage, ...]:
        return tuple(
            stage
            for number, each in enumerate(self.require, start=1)
            for stage in each.stages(number if self.in_order else 1)
        )

    def named(self) -> tuple[tuple[tuple[str | int, ...], str], ...]:
        """Where in `then` a role is written, and which."""
        asked = [
            (("require", number, *place), role)
            for number, each in enumerate(self.require)
            for place, role in each.named()
        ]
        return (*asked, (("escalate_to",), self.escalate_to)) if self.escalate_to else tuple(asked)

    def verdict(self, because: str, rule: str) -> Require:
        to, after = self.escalate_to, self.escalate_after
        return Require(
            stages=self.stages,
            because=because,
            rule=rule,
            expires_in=self.expires_in,
            valid_for=self.valid_for,
            step_up=self.step_up,
            together=self.together,
            cooling_off=self.cooling_off,
            windows=(self.window.window(),) if self.window else (),
            escalation=Escalation(after, to) if after and to else None,
            channels=self.channels,
        )


def _consequence(value: object) -> str | None:
    """Which alternative of `then` this is, by the one key that names it; for pydantic."""
    if isinstance(value, Denial) or (isinstance(value, Mapping) and "deny" in value):
        return "<deny>"
    if isinstance(value, Requirement) or (isinstance(value, Mapping) and "require" in value):
        return "<require>"
    if isinstance(value, Automatic) or (isinstance(value, Mapping) and "auto_approve" in value):
        return "<automatic>"
    return "<auto_approve>" if value == "auto_approve" else None


Consequence = Annotated[
    Annotated[Literal["auto_approve"], Tag("<auto_approve>")]
    | Annotated[Automatic, Tag("<automatic>")]
    | Annotated[Denial, Tag("<deny>")]
    | Annotated[Requirement, Tag("<require>")],
    Discriminator(
        _consequence,
        custom_error_type="consequence",
        custom_error_message="Write `auto_approve`, `{ deny: sentence }` or `require:` with a list of roles.",
    ),
]


class Rule(_Part):
    """One rule: when its condition holds, its consequence is the verdict. `because` is shown to reviewers."""

    name: Name
    when: str
    because: Sentence
    then: Consequence

    def verdict(self) -> Verdict:
        """What this rule answers where its condition holds."""
        return self._verdict

    @cached_property
    def _verdict(self) -> Verdict:
        if isinstance(self.then, Denial):
            return Deny(public=self.then.deny, because=self.because, rule=self.name)
        if isinstance(self.then, Requirement | Automatic):
            return self.then.verdict(self.because, self.name)
        return AutoApprove(because=self.because, rule=self.name)


class ActionRules(_Part):
    """The rules of one action, in the order in which they are tried."""

    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=100)]


@dataclass(frozen=True, slots=True)
class Judged:
    """One action's rules, ready to be tried: each with its checked condition."""

    signature: Signature
    rules: tuple[tuple[Rule, Condition], ...]


class Document(_Part):
    """A whole policy. Two documents say the same when their digests are equal."""

    policy: Annotated[int, AfterValidator(_format)]
    name: Name
    actions: Annotated[Mapping[str, ActionRules], Field(min_length=1)]
    usage: Annotated[tuple[Usage, ...], Field(max_length=100)] = ()

    _judged: Mapping[str, Judged] = PrivateAttr(default_factory=dict)
    _usages: Mapping[str, tuple[Usage, ...]] = PrivateAttr(default_factory=dict)
    _comments: Mapping[tuple[str, str], str] = PrivateAttr(default_factory=dict)

    def judged(self, action: str) -> Judged | None:
        """The action's rules with their conditions, or None where the document does not speak of the action.

        Raises LookupError for a document that `documents.load` did not check.
        """
        if action not in self.actions:
            return None
        return self._judged[action]

    def usages(self, action: str) -> tuple[Usage, ...]:
        """What is counted of the action, and of the others with it, whether or not rules speak of it."""
        return self._usages.get(action, ())

    def comment(self, action: str, rule: str) -> str:
        """What its author wrote above a rule, as `# ...` lines; "" where nothing is."""
        return self._comments.get((action, rule), "")

    def ready(
        self,
        judged: Mapping[str, Judged],
        usages: Mapping[str, tuple[Usage, ...]],
        comments: Mapping[tuple[str, str], str],
    ) -> Self:
        """The same document with its checked conditions, what is counted of each action, and the rules' comments."""
        copy = self.model_copy()
        copy._judged, copy._usages, copy._comments = dict(judged), dict(usages), dict(comments)
        return copy

    @cached_property
    def digest(self) -> str:
        """sha256, in hex, of the RFC 8785 canonical JSON of what the document says.

        Covers every value that was written, reasons included; layout and YAML comments do not count. A
        default that was not written is left out, so that a later program version computes the same digest.
        """
        said = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return hashlib.sha256(rfc8785.dumps(said)).hexdigest()
