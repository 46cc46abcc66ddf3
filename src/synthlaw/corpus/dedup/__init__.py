"""Duplicates: exact ones, near ones by MinHash, repeated paragraphs."""
