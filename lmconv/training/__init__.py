"""The steps of a training, what they learn from, and what goes on round them."""
