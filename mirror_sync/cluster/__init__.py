"""Work items on other machines, by Dask distributed, which is imported when jobs.yaml asks for it.

The coordinator decides, and keeps all that outlives a worker: locks, notes on uploads, the index. A worker has settings
and secrets of its own, asks the coordinator for the rest, and may die at any moment. `link`, `worker` and
`dask_library` are the only files that know Dask; how a message travels is said in `messages`.
"""
