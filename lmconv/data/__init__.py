"""What networks learn from: photographs with their predictions, and data sets of small images."""
