"""Scenario files: their format, the run of one against the simulated venue, the comparison with what they expect."""
