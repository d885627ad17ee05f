"""Trained networks as files: ours, the ones that the authors of the paper published, and what they say."""
