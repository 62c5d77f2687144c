"""Who is told when a repo's state changes, and how: commands and addresses, by a thread of its own."""
