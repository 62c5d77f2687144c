"""The pure heart: values and decisions.

Nothing here reads a clock, a socket, a file or the environment, and nothing here imports a library that does.
"""
