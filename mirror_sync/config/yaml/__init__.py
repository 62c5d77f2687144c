"""From the text of jobs.yaml to plain values with their places, and from faults to words."""
