"""From a checkpoint to a deployable model: exact integers, step graphs, a bundle, and the proof that they agree."""
