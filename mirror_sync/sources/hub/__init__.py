"""An endpoint that speaks the Hugging Face Hub's API. `hub_source` is the way in."""
