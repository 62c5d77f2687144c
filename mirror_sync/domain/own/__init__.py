"""Models of one's own: what was pushed, what is looked for beside a model, and what is made of it. Values alone."""
