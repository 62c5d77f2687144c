"""What the program can do, each verb by itself: the edges (command line, daemon) call these, and nothing below does.

A verb is an object that is made once, with what it needs, by `wiring`, and called again and again.
"""
