"""What lies in the state folder: SQLite files that may be lost, small files, locks. The bucket is the truth.

Nothing here decides; `docs/design/architecture.md` says of each file what is lost with it.
"""
