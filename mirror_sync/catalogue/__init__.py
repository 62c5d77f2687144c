"""The catalogue's pages: values of `domain.catalogue` in, bytes of HTML, CSS and JavaScript out.

Nothing here knows the time or asks anybody, so that equal values are equal bytes. Others use `pages.py` alone.
What upstream and operators say is escaped everywhere; no page asks for anything outside its own folder.
"""
