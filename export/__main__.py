"""`python -m export` is lmconv-export."""

from runtime.entry import main as run


def main() -> None:
    """The command."""
    run("export.cli", "lmconv-export")


if __name__ == "__main__":
    main()
