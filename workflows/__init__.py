"""The Temporal shell: one workflow type for all definitions, one workflow per instance."""
