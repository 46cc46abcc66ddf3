"""Slurm's side of the executor `slurm`: its commands, its options, array folders, the worker."""
