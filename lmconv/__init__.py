"""Locally masked convolutions: autoregressive image models in any pixel order."""
