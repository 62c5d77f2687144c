"""Joins deciding and doing: expand, decide, transfer, publish, prove.

The engine speaks to the world through the ports alone, tells observers what happens, and holds no policy of its own.
No adapter, no clock, no environment variable is named here.
"""
