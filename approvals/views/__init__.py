"""The pages, by persona."""
