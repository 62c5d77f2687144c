"""Adapters that read an upstream: the Hub's API and bytes, a directory, and wrappers that are themselves sources.

Here lives what speaks an upstream's language and turns its answers, however hostile, into `domain` values and its
refusals into `errors`. Here may not live: any decision about what to mirror, any writing, any knowledge of stores.
"""
