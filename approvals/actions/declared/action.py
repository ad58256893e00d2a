"""What a declaration becomes: an action as any other, with its tool, its page and its types for policies."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, cast

from django.conf import settings
from pydantic import ConfigDict, ValidationError

from approvals.actions.contract import Action, Arguments, Facts, Money, NotReversible, Receipt
from approvals.actions.declared import expected, schema, templates
from approvals.actions.declared.document import Declaration
from approvals.actions.declared.templates import REFERENCE, TemplateError
from approvals.actions.money import display
from approvals.backing import Backing, Json
from approvals.errors import BackingRefused, NoAnswer, NothingFound

LONGEST_RECEIPT = 200  # a request keeps it in a column


class DeclaredFacts(Facts):
    # What is not as it was declared is no answer: "5" is not 5 here either.
    model_config = ConfigDict(strict=True)


class Declared(Action[Arguments, Facts]):
    """One file's action. The file is on this deployment's disk, and nothing that an agent says changes what it says."""

    declaration: ClassVar[Declaration]

    def resource_id(self, arguments: Arguments) -> str:
        return str(getattr(arguments, self.declaration.thing_id))

    def headline(self, arguments: Arguments, facts: Facts) -> str:
        return self._told(self.declaration.headline, arguments, facts)

    def reader(self, tenant_slug: str) -> Backing:
        return self._place(tenant_slug, "DECLARED_READ_CREDENTIALS")

    def writer(self, tenant_slug: str) -> Backing:
        return self._place(tenant_slug, "DECLARED_WRITE_CREDENTIALS")

    def look_up(self, arguments: Arguments, reader: Backing) -> Facts:
        asked = self.declaration.look_up
        found = reader.get(*_where(asked.path, asked.query, _values(arguments)))
        if _id(_at(found, asked.id)) != self.resource_id(arguments):
            raise NoAnswer(status=reader.last_status)  # about another thing, or about nothing
        taken = {name: _at(found, asked.take.get(name, name)) for name in self.declaration.facts.properties}
        try:
            return self.facts.model_validate(
                {name: value for name, value in taken.items() if value is not None}
            )
        except ValidationError as error:
            raise NoAnswer(status=reader.last_status) from error  # not as it was declared

    def execute(
        self, arguments: Arguments, facts: Facts, writer: Backing, *, key: str, reference: str
    ) -> Receipt:
        sent = self.declaration.execute
        values = _values(arguments, facts, reference)
        body = cast("Json", templates.fill_body(sent.body, values))
        done = writer.write(
            sent.method, _where(sent.path, {}, values)[0], body, key=key, key_header=sent.idempotency_header
        )
        return Receipt(_receipt(done, sent.receipt, writer), self._told(sent.done, arguments, facts))

    def reconcile(self, arguments: Arguments, reader: Backing, *, reference: str) -> Receipt | None:
        asked = self.declaration.reconcile
        try:
            answer = reader.get(*_where(asked.path, asked.query, _values(arguments, reference=reference)))
        except NothingFound:
            if asked.list is None:
                return None
            raise
        found = [answer] if asked.list is None else _at(answer, asked.list)
        if not isinstance(found, list) or any(_at(one, asked.reference) != reference for one in found):
            raise NoAnswer(status=reader.last_status)  # it answered another question
        if not found:
            return None
        for one in found:
            if all(_fits(_at(one, name), wanted) for name, wanted in asked.where.items()):
                return Receipt(
                    _receipt(one, asked.receipt, reader), f"{self.title}: done, found by our reference"
                )
        raise NoAnswer(status=reader.last_status)  # ours, and not as declared: no proof of either

    def goes_to(self, arguments: Arguments, facts: Facts) -> str:
        told = self.declaration.afterwards
        return self._told(told.goes_to, arguments, facts) if told and told.goes_to else ""

    def afterwards(self, arguments: Arguments, facts: Facts) -> Facts | None:
        told, values = self.declaration.afterwards, _values(arguments, facts)
        if told is None or self._valued(told.where, values) != {
            name: values[f"facts.{name}"] for name in told.where
        }:
            return None
        try:
            return self.facts.model_validate({**facts.model_dump(), **self._valued(told.change, values)})
        except ValidationError:
            return None  # beyond what a fact can be: it would be refused

    def _valued(self, said: Mapping[str, str], values: Mapping[str, object]) -> dict[str, object]:
        kinds = self.declaration.facts.properties
        return {name: expected.value(one, kinds[name].type, values) for name, one in said.items()}

    def _place(self, tenant_slug: str, setting: str) -> Backing:
        folder = getattr(settings, setting)
        named = f"{folder}/{self.declaration.credential}" if folder else ""
        return Backing(tenant_slug, named, setting, self.declaration.host)

    def _told(self, sentence: str, arguments: Arguments, facts: Facts) -> str:
        values = _values(arguments, facts)
        if money := self.amount(arguments):
            values |= {"money": display(money.minor, money.currency)}
        return templates.fill_sentence(sentence, lambda name: _in_words(values[name]))


class DeclaredPayment(Declared):
    """One that moves money."""

    def amount(self, arguments: Arguments) -> Money:
        named = self.declaration.money
        assert named is not None  # noqa: S101 - what makes it one
        return Money(getattr(arguments, named.amount), getattr(arguments, named.currency))


def action_of(declaration: Declaration) -> Declared:
    """Its action. The declaration has been checked."""
    words = "".join(word.title() for word in declaration.name.split("_"))
    in_paths = {
        piece.text
        for call in (declaration.look_up, declaration.execute, declaration.reconcile)
        for piece in templates.path(call.path)
        if piece.is_name
    }
    attributes = {
        **{name: getattr(declaration, name) for name in _AS_DECLARED},
        "declaration": declaration,
        "sensitive": frozenset(declaration.sensitive),
        "inverse": NotReversible(declaration.irreversible),
        "key_lives": timedelta(hours=declaration.execute.key_lives_hours),
        "index_lags": timedelta(seconds=declaration.reconcile.index_lags_seconds),
        "arguments": schema.model(
            f"{words}Arguments",
            declaration.arguments,
            Arguments,
            in_paths=in_paths,
            currency=declaration.money.currency if declaration.money else None,
            one_line=True,
        ),
        "facts": schema.model(f"{words}Facts", declaration.facts, DeclaredFacts),
        "__module__": __name__,
    }
    kind = DeclaredPayment if declaration.money else Declared
    made: type[Declared] = type(words, (kind,), attributes)
    return made()


_AS_DECLARED = (
    *("name", "tool", "title", "description", "version", "owner", "risk", "threats"),
    *("thing", "thing_found_by", "subjects"),
)


def _values(arguments: Arguments, facts: Facts | None = None, reference: str = "") -> dict[str, object]:
    looked_up = facts.model_dump() if facts else {}
    return {
        **arguments.model_dump(),
        **{f"facts.{name}": value for name, value in looked_up.items()},
        REFERENCE: reference,
    }


def _where(path: str, query: Mapping[str, str], values: Mapping[str, object]) -> tuple[str, dict[str, str]]:
    """The path and the query of a call. Raises BackingRefused, before anything is sent."""
    try:
        filled = templates.fill_path(templates.path(path), values)
    except TemplateError as error:
        raise BackingRefused(message=str(error), backing_code="") from error
    return filled, templates.fill_query(
        {name: templates.query_value(one) for name, one in query.items()}, values
    )


def _at(found: object, dotted: str) -> Any:
    """The value under a dotted name, None where there is none."""
    for name in dotted.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _fits(value: object, wanted: object) -> bool:
    """As JSON compares: 2500 is not "2500", and true is not 1."""
    return value == wanted and isinstance(value, bool) is isinstance(wanted, bool)


def _receipt(found: object, dotted: str, place: Backing) -> str:
    """Their reference. Without one it is not known what was done: raises NoAnswer."""
    value = _id(_at(found, dotted))
    if not 0 < len(value) <= LONGEST_RECEIPT:
        raise NoAnswer(status=place.last_status)
    return value


def _id(value: object) -> str:
    """An id as text, "" for what is none."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _in_words(value: object) -> str:
    if value is None:
        return "(not known)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
