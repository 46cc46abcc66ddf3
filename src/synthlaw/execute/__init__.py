"""Where work is done: in this process, by worker processes, on a Ray cluster, in Slurm's queue.

    base.py        the protocol: jobs, failures, `Executor.map`
    feed.py        payloads out and results back: order, bounds, attempts
    inline.py      jobs in this process
    registry.py    executors by name; one file of `executors/` each
    machine.py     what this machine can carry

Other rooms import `base`, `inline`, `machine` and `registry`.
"""
