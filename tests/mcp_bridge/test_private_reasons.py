"""A rule's `because` is for people. No way to the agent carries it; what it is told is the public sentence."""

from tests.mcp_bridge.hosts import Host, text
from tests.world import REFUND, World

PLANTED = "planted-private-reason"
POLICY = f"""\
policy: 1
name: private
actions:
  refund_payment:
    rules:
      # {PLANTED} in a comment
      - name: too-large
        when: args.amount_minor > 90000
        because: "{PLANTED}: we suspect this customer."
        then: {{ deny: "This is more than we refund." }}
      - name: cannot-be-worked-out
        when: args.amount_minor == 7 && args.amount_minor / (args.amount_minor - 7) > 5
        because: "{PLANTED} of an error."
        then: auto_approve
      - name: usual
        when: "true"
        because: "{PLANTED}: such customers are watched."
        then: {{ require: [{{ role: support_lead, count: 1 }}] }}
"""


def test_no_way_to_the_agent_carries_a_rules_private_reason(host: Host, known: World) -> None:
    known.put_in_force(POLICY)
    refused = host.call("request_refund", **(REFUND | {"amount_minor": 90001}))
    assert text(refused) == "[doomed] This is more than we refund. No request was filed."
    said = [refused.model_dump_json()]
    for amount in (7, 500):
        filed = host.call("request_refund", **(REFUND | {"amount_minor": amount}))
        request_id = (filed.structured_content or {})["request_id"]
        said += [
            answer.model_dump_json()
            for answer in (
                filed,
                host.call("get_request_status", request_id=request_id),
                host.call("list_my_requests"),
                host.call("withdraw_request", request_id=request_id),
                host.call("get_request_status", request_id=request_id),
            )
        ]
        said.append(host.read(f"approval://{request_id}"))
    said.append(host.read("policy://refunds"))
    assert [words for words in said if PLANTED in words] == []
