"""A job as jobs.yaml asks for it: what, from where, to where, when, how fast, and what it must not believe."""
