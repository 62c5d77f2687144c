"""Errands on other machines: separate processes, a real Dask scheduler, sockets of the loopback interface."""
