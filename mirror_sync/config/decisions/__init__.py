"""decisions.yaml: what people decided about repos, read and added to."""
