"""The Hub's URLs answered from snapshots, as values: routes, answers, listings. Nothing here knows a socket."""
