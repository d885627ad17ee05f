"""`python -m codec` is lmconv-codec."""

from runtime.entry import main as run


def main() -> None:
    """The command."""
    run("codec.cli", "lmconv-codec")


if __name__ == "__main__":
    main()
