"""Mark and index prices over time, by engine time."""
