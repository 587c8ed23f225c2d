"""Fixtures of the client's tests: a watched Hub, and toys to release."""

from release_fixtures import hub, toy

__all__ = ["hub", "toy"]
