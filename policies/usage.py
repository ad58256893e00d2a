"""The `usage:` of a policy: what was approved already, for whom and by whom, and how much of it may be.

An entry becomes `usage.NAME`, a whole number, in the conditions of the actions that it covers. Its value is what is
approved and not released, in the window, under the key of the request that is judged, without that request itself:
approvals that are not carried out yet, however old, and those that were carried out within the window. The caller
brings the values. A cap is a budget: where a request would pass it, no rule approves it, and people cannot either.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from .currencies import DECIMALS, display
from .durations import in_words, written
from .expressions import names
from .signature import Signature, Variable
from .source import Path, Source
from .verdicts import Duration

Dimension: TypeAlias = Literal["tenant", "agent", "principal", "customer", "order", "action"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
# What a request has only where its action says which one it is about.
SUBJECTS = frozenset({"customer", "order"})
LONGEST = timedelta(days=366)
LARGEST = 10**15


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", text):
        raise ValueError("The name of a usage is a-z, then a-z, 0-9 or '_', at most 64.")
    return text


def _window(text: object) -> timedelta:
    window = written(text)
    if window > LONGEST:
        raise ValueError(f"A window is at most {LONGEST.days} days.")
    return window


def _number(text: object) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,15}", str(text)) or int(str(text)) > LARGEST:
        raise ValueError(
            "A cap is a whole number, at least 1: a count of requests, or money in minor units, so that "
            "200000 is 2,000.00 USD."
        )
    return int(str(text))


def _each_once(words: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(words)) < len(words):
        raise ValueError("A word is written twice here; write it once.")
    return words


def _capped(value: object) -> str:
    """Which of the two a cap is; for pydantic."""
    return "<money>" if isinstance(value, Mapping) else "<requests>"


Number = Annotated[int, BeforeValidator(_number)]
Cap = Annotated[
    Annotated[Number, Tag("<requests>")]
    | Annotated[Annotated[Mapping[str, Number], Field(min_length=1)], Tag("<money>")],
    Discriminator(_capped),
]


class Usage(BaseModel):
    """One sum. `of` names actions, None stands for every one that counts (for money: every one that moves some)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, AfterValidator(_name)]
    sums: Literal["money", "requests"]
    of: Annotated[tuple[str, ...], Field(min_length=1, max_length=100), AfterValidator(_each_once)] | None = (
        None
    )
    per: Annotated[tuple[Dimension, ...], Field(min_length=1), AfterValidator(_each_once)]
    window: Annotated[Duration, BeforeValidator(_window)]
    cap: Cap | None = None

    def covers(self, action: str, signature: Signature) -> bool:
        if self.of is not None:
            return action in self.of
        return signature.counted and (self.sums == "requests" or signature.moves_money)

    def cap_in(self, currency: str) -> int | None:
        """The cap of a request in this currency; 0 for a currency that a cap does not name, None without a cap."""
        if isinstance(self.cap, Mapping):
            return self.cap.get(currency, 0)
        return self.cap

    def written(self, value: int, currency: str) -> str:
        """`120.00 USD`, or `3 requests`."""
        if self.sums == "money":
            return display(value, currency)
        return "1 request" if value == 1 else f"{value:,} requests"


@dataclass(frozen=True, slots=True)
class Room:
    """What a cap leaves for one request. `currency` is "" where requests are counted."""

    usage: Usage
    currency: str
    cap: int
    used: int
    takes: int

    @property
    def left(self) -> int:
        """Before the request, and never below nothing: a cap may have been lowered."""
        return max(self.cap - self.used, 0)

    @property
    def is_over(self) -> bool:
        return self.used + self.takes > self.cap

    def __str__(self) -> str:
        """In words, for whoever is told that it does not fit."""
        name, window = self.usage.name.replace("_", " "), in_words(self.usage.window)
        if not self.cap:
            return f"The budget “{name}” allows nothing in {self.currency}."
        left, cap, takes = (
            self.usage.written(value, self.currency) for value in (self.left, self.cap, self.takes)
        )
        return f"The budget “{name}” has {left} left of {cap} in {window}, and this takes {takes}."


def rooms(
    usages: Iterable[Usage], used: Mapping[str, int], amount_minor: int | None, currency: str
) -> tuple[Room, ...]:
    """One for each cap that concerns a request of this amount (None: it moves no money).

    `used` has a value for each usage. Raises KeyError for one that is missing: what is not known is not nothing.
    """
    found = []
    for usage in usages:
        cap = usage.cap_in(currency)
        if cap is None or (usage.sums == "money" and amount_minor is None):
            continue
        if usage.sums == "money":
            found.append(Room(usage, currency, cap, used[usage.name], amount_minor or 0))
        else:
            found.append(Room(usage, "", cap, used[usage.name], 1))
    return tuple(found)


def declared(signature: Signature, usages: Iterable[Usage], action: str) -> Signature:
    """The action's types, with a name for each usage that covers it."""
    counts = {usage.name: Variable("int") for usage in usages if usage.covers(action, signature)}
    return replace(signature, usage=counts)


def check(
    origin: Source,
    usages: Sequence[Usage],
    signatures: Mapping[str, Signature],
    conditions: Mapping[str, Iterable[str]],
) -> None:
    """Raises PolicyError for what cannot be meant. `conditions` are the texts of each action's rules."""
    seen: set[str] = set()
    for index, usage in enumerate(usages):
        path: Path = ("usage", index)
        if usage.name in seen:
            message = f"There are two usages named '{usage.name}'; rename one."
            raise origin.error_at((*path, "name"), message)
        seen.add(usage.name)
        _check_actions(origin, path, usage, signatures)
        _check_cap(origin, path, usage)
        _check_used(origin, path, usage, signatures, conditions)


def _check_actions(origin: Source, path: Path, usage: Usage, signatures: Mapping[str, Signature]) -> None:
    for place, action in enumerate(usage.of or ()):
        where = (*path, "of", place)
        if action not in signatures:
            known = ", ".join(sorted(signatures))
            raise origin.error_at(where, f"There is no action '{action}'. Known here: {known}.")
        if not signatures[action].counted:
            message = f"'{action}' is in no budget: a full one would keep people from mending the policy."
            raise origin.error_at(where, message)
        if usage.sums == "money" and not signatures[action].moves_money:
            message = f"'{action}' moves no money; count its requests with `sums: requests`."
            raise origin.error_at(where, message)
    covered = [action for action in signatures if usage.covers(action, signatures[action])]
    for place, dimension in enumerate(usage.per):
        for action in sorted(covered):
            if dimension in SUBJECTS and dimension not in signatures[action].subjects:
                advice = "leave it out of `of`" if usage.of else "name in `of` the actions that do"
                message = f"'{action}' does not say which {dimension} it is about; {advice}."
                raise origin.error_at((*path, "per", place), message)


def _check_cap(origin: Source, path: Path, usage: Usage) -> None:
    if usage.cap is None:
        return
    if isinstance(usage.cap, Mapping) != (usage.sums == "money"):
        message = (
            "A cap on money names its currencies: `cap: { USD: 200000 }`."
            if usage.sums == "money"
            else "A cap on requests is one number: `cap: 20`."
        )
        raise origin.error_at((*path, "cap"), message)
    for currency in usage.cap if isinstance(usage.cap, Mapping) else ():
        if currency not in DECIMALS:
            message = (
                f"'{currency}' is no currency of ISO 4217. Write codes such as USD; in a currency that is not named "
                "here the cap allows nothing."
            )
            raise origin.error_at_key((*path, "cap", currency), message)


def _check_used(
    origin: Source,
    path: Path,
    usage: Usage,
    signatures: Mapping[str, Signature],
    conditions: Mapping[str, Iterable[str]],
) -> None:
    """A sum that nothing asks for and nothing caps is a budget that somebody believes in, and that is not there."""
    asked = f"usage.{usage.name}"
    texts = (
        text
        for action, written_for in conditions.items()
        if action in signatures and usage.covers(action, signatures[action])
        for text in written_for
    )
    if usage.cap is None and not any(asked in names(text, {asked: Variable("int")}) for text in texts):
        message = f"Nothing uses '{usage.name}': give it a cap, or write usage.{usage.name} in a condition."
        raise origin.error_at((*path, "name"), message)
