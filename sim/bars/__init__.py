"""A market made of bars: the path of a bar, and the way through a tape of them (F8, F10, F11)."""
