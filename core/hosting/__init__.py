"""What surrounds a strategy: loading it, what it hears and sees, what it may answer, how it fails."""
