"""The tests of mirror-sync: laws in plain words, run against real sockets, real servers and unmodified clients."""
