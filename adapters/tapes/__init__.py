"""Tapes on the disk, several as one, and whatever becomes one."""
