"""The static catalogue: what a target publishes and what is known of it, as pages and documents below `site/`.

It knows ports, domain and errors alone. `gather` reads what is published, `known` is what a machine knows beside it,
`view` joins the two, `pages` and `documents` write it down, and `publish` puts what has changed.
"""
