"""Operators, for what a switch holds."""

from tests.switches.conftest import operators

__all__ = ["operators"]
