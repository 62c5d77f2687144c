"""The doors beside the Hub's API, and `mounted`, which joins all of them: what to answer, and to whom it is left."""
