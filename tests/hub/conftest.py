"""Fixtures of the client's tests: a watched Hub, toys to release, a user's home folder."""

from children import plain
from release_fixtures import hub, toy

__all__ = ["hub", "plain", "toy"]
