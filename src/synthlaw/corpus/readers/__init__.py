"""Readers: from what a study names as input to documents, one kind of source a file."""
