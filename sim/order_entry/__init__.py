"""What a venue asks of a request before it meets the market, and what it counts."""
