"""Market data inside: rows as events, larger bars, last prices, extremes, what the data cover."""
