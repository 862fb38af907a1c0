"""The documents that commands print with --json: the contract with scripts, in plain JSON types, key by key.

Results make them (`result.document()`), so that a name inside the program can change and the contract does not. Keys
are only ever added. docs/reference/json.md and `permafrost schema` are generated from these classes: a class's
docstring describes the document, the string below a field its key.
"""
