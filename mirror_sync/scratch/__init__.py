"""What is too much for memory, on disk for as long as it is needed: in unnamed files, which end with their process.

They lie in SQLITE_TMPDIR, TMPDIR, /var/tmp or /tmp, the first of these that can be written to. What is small never
leaves memory. Nothing here is remembered: that is the state folder's.
"""
