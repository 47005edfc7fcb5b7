"""From the text of a config to typed values, and back: every problem with its line and its key, all at once."""
