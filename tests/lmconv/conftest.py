"""One thread for torch: the tests are small, and their sums must not depend on the machine."""
import torch

torch.set_num_threads(1)
