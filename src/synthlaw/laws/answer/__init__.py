"""Answers: which mixture is best where, by how much, how surely, and what it saves."""
