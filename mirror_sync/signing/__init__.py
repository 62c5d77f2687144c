"""Signs what is published, and checks what others signed: keys, SSH signatures, sums, statements, model bundles, BOMs.

Bytes of documents are made and read here, from values and from small objects of a Store. What is signed when, and where
its blobs go, others decide. The library `cryptography` is imported within functions: it is the extra `sign`.
"""
