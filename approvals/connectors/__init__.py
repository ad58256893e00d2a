"""Providers that an action can be carried out by in place of the company's own API, one file each."""
