"""`python -m lmconv` is lmconv, also for torchrun: torchrun --nproc-per-node 2 -m lmconv train ..."""

from runtime.entry import main as run


def main() -> None:
    """The command."""
    run("lmconv.cli", "lmconv")


if __name__ == "__main__":
    main()
