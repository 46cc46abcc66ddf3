"""Engines: language models that answer requests, one kind a file."""
