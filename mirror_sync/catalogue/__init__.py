"""The static catalogue: what a target publishes and what is known of it, as pages and documents below `site/`.

It knows ports, domain and errors alone. `gather` reads what is published, `contents` what stands in files of repos,
which anybody may have written, `local_knowledge` is what a machine knows beside that, `view` joins them, `pages` and
`documents` write it down, and `publication` puts what has changed.

`pages` turns values of `domain.catalogue` into HTML; it knows no time and asks nobody, so that equal values are equal
bytes. `texts` holds all words, in every language; `templates/` and `assets/` are what the pages look like.
"""
