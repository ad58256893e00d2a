"""What Slack asks of a card: docs.slack.dev/reference/block-kit/blocks."""

from typing import Any


def texts(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Every text object of a card."""
    found: list[dict[str, Any]] = []
    for block in card["blocks"]:
        found += [block["text"]] if "text" in block else block.get("fields", [])
        found += [element["text"] for element in block.get("elements", [])]
    return found


def check_shape(card: dict[str, Any]) -> None:
    """What Slack refuses with invalid_blocks: docs.slack.dev/reference/block-kit/blocks."""
    assert 1 <= len(card["blocks"]) <= 50
    assert 1 <= len(card["text"]) <= 4000
    longest = {"header": 150, "section": 3000, "fields": 2000, "button": 75}
    for block in card["blocks"]:
        if block["type"] == "header":
            sizes = [(block["text"], longest["header"])]
        elif block["type"] == "section":
            assert len(block.get("fields", [])) <= 10
            sizes = [(field, longest["fields"]) for field in block.get("fields", [])]
            sizes += [(block["text"], longest["section"])] if "text" in block else []
        else:
            assert block["type"] == "actions"
            sizes = [(button["text"], longest["button"]) for button in block["elements"]]
            assert all(len(button["url"]) <= 3000 for button in block["elements"])
        assert sizes
        assert all(1 <= len(text["text"]) <= most for text, most in sizes)
