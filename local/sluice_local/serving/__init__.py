"""The model server: it hosts a user's inference script in the interpreter of the model's image.

Its environment has the user's packages and none of ours, so it uses only the standard library. For one client
on loopback with open connections that is fast enough: the model's own time dominates.
"""
