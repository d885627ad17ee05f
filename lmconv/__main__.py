"""python -m lmconv, for torchrun: torchrun --nproc-per-node 2 -m lmconv train ..."""

from lmconv.cli import cli

if __name__ == "__main__":
    cli(prog_name="lmconv")
