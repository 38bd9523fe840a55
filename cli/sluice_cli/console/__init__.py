"""Open the console: pages that the stack's function renders, on which a person acts with their own rights.

A page comes from the function; a form is answered here, by the code of the commands, with the credentials of
who opened the console. So the registry names that person, and nothing of the stack needs rights to decide.
"""
