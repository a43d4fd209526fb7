"""The HTTP API: bearer tokens in, commands to Temporal, reads from SQL, problems out."""
