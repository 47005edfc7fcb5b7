"""What a config names as `env:NAME`: read when it is needed, and in no message."""

from __future__ import annotations

import os

from core.errors import UsageError


def from_environment(field: str, reference: str, expected: str) -> str:
    """What `env:NAME` of the key `field` stands for. Raises UsageError where the environment does not have it."""
    name = reference.removeprefix("env:")
    if name not in os.environ:
        raise UsageError(f"`{field}: env:{name}`: the environment has no {name}; set it to {expected}")
    return os.environ[name]
