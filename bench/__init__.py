"""A side-by-side benchmark that anyone can run: ``make bench`` writes ``bench/RESULTS.md``, and nothing else does.

Every contestant is a process of its own, started as a user would start it, on the same nginx and the same radosgw; the
contestants take turns within every round, in an order that moves on from round to round. What is said of the results
(medians, ratios, targets) is pure and lives in `figures` and `table`; servers come from `tests.servers`.
"""
