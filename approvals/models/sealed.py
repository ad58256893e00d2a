"""Columns that the database keeps as ciphertext, and code reads as clear text."""

from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from approvals.errors import PayloadErased
from approvals.payload_keys import seal, unseal


@dataclass(frozen=True, slots=True)
class Sealed:
    """What stands in the database: a token that nobody has opened yet."""

    token: str


class _Opened(DeferredAttribute):
    """Opens a text when it is read, and not before: a list of requests needs no key."""

    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        found = super().__get__(instance, cls)
        if instance is None:
            return found
        if isinstance(found, Sealed):
            found = instance.__dict__[self.field.attname] = unseal(found.token)
        if found is None:
            raise PayloadErased
        return found

    def __set__(self, instance: models.Model, value: object) -> None:
        instance.__dict__[self.field.attname] = value


class SealedText(models.TextField):  # type: ignore[type-arg]
    """A text under the keys of PAYLOAD_KEYS; NULL once it was erased.

    Reading it raises PayloadErased or PayloadUnreadable. Nothing can be looked for in it, only whether it is there.
    """

    descriptor_class = _Opened

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "null": True})

    def from_db_value(self, value: str | None, *_: object) -> Sealed | None:
        return None if value is None else Sealed(value)

    def get_prep_value(self, value: object) -> Any:
        if isinstance(value, Sealed):
            return value.token
        return None if value is None else seal(str(value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """As it stands on the row: what nobody has opened is not sealed anew."""
        if self.attname in model_instance.__dict__:
            return model_instance.__dict__[self.attname]
        return super().pre_save(model_instance, add)

    def get_lookup(self, lookup_name: str) -> Any:
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None
