"""What an audit makes of targets that break, hang, crash or are killed: nothing may be lost.

    python -m benchmarks.faults [--only NAME ...] [--kills N] [--jobs N] [--store FILE]

Every fault is a small file that is written and audited with `audit run` in a folder of its own.
For each it prints what came out: the exit code, the wall time, how many observations the report
holds, and what the user was told. A row is right when the exit code is the promised one, the words
that name the fault are there, the report on standard output is whole JSON with at least the
promised observations, and nothing of it is a traceback of the auditor. `--kills N` ends the
worker with SIGKILL at N random moments. `--store` keeps every row as it comes, and skips the rows
that are there already. The command ends with 1 if any row is wrong.
"""
