"""Scaling laws: forms, fits with intervals, comparison of mixtures, the good share, advice.

    from synthlaw.laws.api import fit_laws
    from synthlaw.laws.table import RunsTable

    laws = fit_laws(RunsTable.read(Path("runs.csv")), "joint")

Needs numpy and scipy only: no torch, so that it can be used alone on runs of any trainer.
"""
