"""Moments are int nanoseconds UTC: how many make what people count in, and the one that never comes."""

MS_NS = 1_000_000
SECOND_NS = 1_000 * MS_NS
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
INF = 2**63 - 1
"""Later than every moment of a run: the largest int64."""
