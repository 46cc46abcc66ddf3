"""Targets of `benchmarks/fuzz.py`: one module for each parser of foreign input."""
