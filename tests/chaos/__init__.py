"""Chaos: the program as its users run it, real servers, seeded faults and kills, and a reader that checks all of it.

``make chaos [ROUNDS=300] [SEED=n]``. Nothing here looks inside the program: it is started, killed, and read from the
outside; what a bucket holds is read by code of this folder's own.
"""
