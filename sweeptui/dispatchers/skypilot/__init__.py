"""Runs jobs wherever SkyPilot can: on a cloud, on Kubernetes, on Slurm.

`dispatcher` is what the sweep talks to, `fleet` what is to be done next for each job. Neither ever waits: `courier`
carries their errands to a `gateway` in threads and brings the answers back. The real gateway (`client`) is a process of
its own (`worker`), the only one that imports the SkyPilot package, which takes seconds and much memory. `task` says
what SkyPilot is to run: `runner`, which starts the training there and numbers its lines, so that `transport` can follow
a log that is only ever seen in pieces.
"""
