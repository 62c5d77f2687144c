"""What jobs.yaml asks for, beside what is known of it here: each gap and why, each job and when it runs next.

`inventory` and `next_runs` are pure, `triggers` says when a schedule is due, `pauses` is a small file. The commands,
the daemon and the catalogue ask it; it asks nobody, and knows no adapter but the values of the history.
"""
