"""The commands, one a file with what it alone needs, by what they are about; `mirror_sync.cli.app` lists them all.

A command imports what is slow when it runs: all of these are imported for each call of the program.
"""
