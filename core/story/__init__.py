"""What happened to an order and why, read off a run's folder once it is over."""
