"""The model server: hosts a user's inference script in the interpreter of the model's image.

It runs in an environment that holds the user's packages and nothing of ours, so it is the standard library
alone. For one client on loopback that keeps its connections open, that is fast enough to leave a model's own
time in charge.
"""
