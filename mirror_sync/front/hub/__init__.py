"""The Hub's API answered from snapshots, and what it shares with other protocols: routes, requests and answers.

Nothing here knows a socket.
"""
