"""A config in a test: text that is as it should be, or a ConfigError with all that core sees wrong in it."""

from __future__ import annotations

from collections.abc import Sequence

from core.config import Config, config_error, read_config_text


def load_config_text(text: str, file: str = "config", assignments: Sequence[str] = ()) -> Config:
    config, problems, _ = read_config_text(text, file, assignments)
    if config is None or problems:
        raise config_error(file, problems)
    return config
