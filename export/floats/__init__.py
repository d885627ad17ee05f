"""Networks as files of ONNX, TorchScript and torch.export, in float, for one order and size."""
