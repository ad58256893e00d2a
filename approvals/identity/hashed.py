"""A model field for credentials that are looked up and never shown again."""

import hashlib
from typing import Any

from django.db import models


class HashedCode(models.CharField):  # type: ignore[type-arg]
    """Stores and compares the SHA-256 of what it is given: the library looks a code up by itself, and finds it.

    For codes of full entropy only. A row read back carries the hash; saving that row again would hash it twice.
    """

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return text and hashlib.sha256(text.encode()).hexdigest()
