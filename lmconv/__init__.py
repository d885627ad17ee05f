"""Locally masked convolutions: autoregressive image models in any pixel order.

orders and masks need numpy alone, config nothing; layers, photo, likelihood, checkpoint and train need torch, data
the runtime's predictor. Import what you use: `from lmconv import orders`, `from lmconv.photo import PhotoNet`.
"""
