"""The real services that tests run against, each started once and in a folder of its own."""
