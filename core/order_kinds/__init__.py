"""Orders and groups of orders that a venue may not have: kept here, the same way in every mode."""
