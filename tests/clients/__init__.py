"""The client suite: what unmodified clients, three generations of them, do with a mirror.

`operations` and `checks` run inside a client's own environment: they import the standard library, huggingface_hub,
transformers and datasets, and nothing else. The rest runs under pytest.
"""
