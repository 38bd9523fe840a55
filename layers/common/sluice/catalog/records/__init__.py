"""The catalog's items as typed records, a module for each subject, so that a function loads only its own.

`of(item)` reads an item and ignores unknown attributes. `item()` is what is written, without default values.
"""
