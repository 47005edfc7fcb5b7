"""What somebody recorded of a venue's streams, and others' files of it, as rows that can be believed."""
