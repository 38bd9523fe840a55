"""The catalog's items as typed records, a module a subject: a function loads those that it reads.

`of(item)` reads an item and ignores attributes that the record does not know; `item()` is what is written,
without what is as it would be read anyway.
"""
