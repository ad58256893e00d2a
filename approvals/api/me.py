"""Who asks, as we know them; and every address that is none."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from approvals import errors
from approvals.api.endpoint import Endpoint, shown
from approvals.api.examples import ME
from approvals.api.schema import described
from approvals.queries import tenant_called


class Me(serializers.Serializer[Any]):
    """Who you are here."""

    kind = serializers.ChoiceField(["agent", "person"], help_text="Whose rights count.")
    id = serializers.UUIDField()
    name = serializers.CharField()
    company = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField(), help_text="Of the person, now.")
    by_token_of = serializers.UUIDField(allow_null=True, help_text="The agent, where a token was sent.")


class MeEndpoint(Endpoint):
    wanted = "me"

    @described(
        "Who am I",
        "Whose rights count for what you ask: an agent's own, or a person's by the roles that they hold now.",
        answers=Me,
        examples={"a program in somebody's name": ME},
    )
    def get(self, request: Request) -> Response:
        person, agent = self.who.reader, self.who.agent
        who: Any = person or agent
        told = {
            "kind": "person" if person else "agent",
            "id": person.person_id if person else self.agent.id,
            "name": who.name,
            "company": tenant_called(self.who.tenant_id),
            "roles": sorted(person.roles) if person else [],
            "by_token_of": agent.agent_id if agent else None,
        }
        return shown(Me, told)


class NothingEndpoint(Endpoint):
    """Whatever else begins like an address of the API."""

    wanted = "nothing"
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Nobody is asked who they are."""
        raise errors.NothingHere

    def get(self, request: Request, *args: Any) -> Response:
        raise errors.NothingHere
