"""The ports between deciding and doing. Each docstring is a contract; one suite of tests holds every adapter to it."""
