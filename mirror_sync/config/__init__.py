"""jobs.yaml, from text to settings: places, models, cross checks. Nothing here opens a connection or runs a job.

`load` is the way in, `settings` is what comes out; `yaml`, `keys`, `checks` and `resolve` are steps between the two.
"""
