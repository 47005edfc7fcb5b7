"""What `python -m core.run` does with its words: runs, bands, data, checks, progress, Ctrl-C."""
