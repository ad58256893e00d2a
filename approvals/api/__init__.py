"""The REST API for programs: what the pages read, as JSON; and what people do on pages, for a browser that is theirs.

A token reads and never decides (docs/decisions/0014). Each module has the endpoints of one subject; `shapes` says what
goes in and comes out, `endpoint` what all of them have in common, and `schema` makes the OpenAPI document of it.
"""
