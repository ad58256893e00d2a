"""The scopes that can be asked for: two broad ones, one for each registered action, and the API's. None approves."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext
from oauth2_provider.scopes import BaseScopes

from approvals import actions
from approvals.identity.scopes import API_READ, BROAD, READ, REQUEST, both, narrowed


class Scopes(BaseScopes):
    """What the library asks when it checks, defaults and advertises scopes."""

    def get_all_scopes(self) -> dict[str, str]:
        """Every scope, with what it lets a program do in words."""
        return {
            READ: gettext("Look up orders, customers and payments, and read its own requests"),
            REQUEST: gettext("File requests of every kind that Countersign has, and take its own back"),
            **{narrowed(action.name): _only(action.title) for action in actions.every()},
            API_READ: gettext(
                "Read over the REST API all that you may read here: requests and votes, policies, and by your roles "
                "the trail, agents and switches"
            ),
        }

    def get_available_scopes(self, application: Any = None, *_: Any, **__: Any) -> list[str]:
        """What this program may ask for; without one, what the metadata names: the broad ones of the door."""
        if application is None:
            return list(BROAD)
        given = frozenset(application.scope.split())
        return [
            scope for scope in self.get_all_scopes() if not given or scope in both(given, frozenset({scope}))
        ]

    def get_default_scopes(self, *_: Any, **__: Any) -> list[str]:
        """A program that asks for nothing may read."""
        return [READ]


def in_words(scopes: Iterable[str], *, by_itself: bool = False) -> list[tuple[str, str]]:
    """`("mcp:read", "Look up ...")` for each, in the order in which they were asked: to whoever lets a program do it,
    or of an agent that comes `by_itself`.
    """
    words = Scopes().get_all_scopes()
    if by_itself:
        words[API_READ] = gettext("Read its own requests over the REST API")
    return [(scope, words.get(scope, scope)) for scope in scopes]


def _only(title: str) -> str:
    return gettext("File requests of one kind, and take them back: %(title)s") % {"title": title}
