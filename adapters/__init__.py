"""The outside world in our words: files, venues, a synthetic market. Imports core and itself only."""
