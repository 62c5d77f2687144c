"""Real servers for tests: context managers on free loopback ports, in folders of their own, stopped by process id.

What is tested against them does not live here, nor does the Hub stand-in (`tests.standin`).
"""
