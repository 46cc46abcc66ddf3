"""Targets of benchmarks/fuzz.py, one file each."""
