"""Targets of benchmarks/fuzz.py, a module for each kind of foreign input."""
