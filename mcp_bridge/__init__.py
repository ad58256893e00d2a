"""The agent's door: MCP tools, resources and a prompt that can ask for things and decide nothing."""
