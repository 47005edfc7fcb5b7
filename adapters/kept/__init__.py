"""What is kept of the past: what there is, for which ranges, whether it is whole, and what brings more."""
