"""What helps to write a definition: pictures, plain words, comparison, layout, templates.

Pure functions over the compiled definition and its text. Nothing here reads a
file or runs an instance; the command line and the API do.
"""
