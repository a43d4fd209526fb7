"""The `nexus` command.

The library is installed without the platform's packages, so nothing here imports them at the
top of a file: a command imports what it runs, and says in one line if that is not there.
"""
