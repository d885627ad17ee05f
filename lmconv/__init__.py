"""Locally masked convolutions: autoregressive image models in any pixel order.

orders need numpy alone, config nothing; layers, networks, checkpoints, training, evaluation and sampling need torch,
data the runtime's predictor. Import what you use: `from lmconv import orders`,
`from lmconv.networks.photo import PhotoNet`.
"""
