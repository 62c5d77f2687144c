"""What a client does with a mirror, one function an operation.

Runs inside the environments of three generations of clients: standard library, huggingface_hub, transformers and
datasets only, and only what all three have, unless the check says otherwise.
"""
