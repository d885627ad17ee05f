"""The line of autoregressive models that locally masked convolutions stand in: a file each, on one protocol.

Settings are in settings.py, so that the command line can show them without PyTorch. A model's file has a class
`Network`, a lmconv.networks.model.ImageNetwork: a new one is that file, its settings and a line in PRESETS.
"""
