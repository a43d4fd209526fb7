"""The `nexus` command, also as `python -m nexus`."""

from __future__ import annotations

from nexus.cli.supervised import leave_interrupts_to_the_supervisor


def main() -> None:
    """Runs the command line of this process."""
    leave_interrupts_to_the_supervisor()
    from nexus.cli.app import run

    run()


if __name__ == "__main__":
    main()
