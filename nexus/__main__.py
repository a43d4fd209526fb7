"""The `nexus` command, also as `python -m nexus`."""

from __future__ import annotations


def main() -> None:
    """Runs the command line of this process."""
    from nexus.cli.app import run

    run()


if __name__ == "__main__":
    main()
