"""From a checkpoint to a deployable model: exact integers, step graphs, a bundle, and the proof that they agree.

`export.bundle.export_bundle` writes a bundle of exact integers, `export.floats.export_float` a file of ONNX,
TorchScript or torch.export. Both try what they made against PyTorch before they leave a file, and raise
`export.errors.ExportError`.
"""
