"""Who may read what: roles and what they read, tokens and whose they are. Both fronts go by what is said here."""
