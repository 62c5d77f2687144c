"""The stand-in Hub satisfies the real huggingface_hub and does the damage that is asked of it."""
