"""From a checkpoint to a deployable model: exact integers, ONNX step graphs, a bundle, and the proof that they agree."""
