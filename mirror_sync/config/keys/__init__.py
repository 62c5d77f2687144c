"""The keys of jobs.yaml: the shape of each, how its text is read, what an editor is told of it."""
