"""What can be wrong with a definition, and with the values of one execution."""


class DefinitionError(Exception):
    """The definition cannot be accepted; the message names the step, the argument and what was expected."""


class ParameterError(Exception):
    """The parameters of an execution are not what the definition declares."""


class ResolutionError(Exception):
    """A value that a step needs is not there, or not of a type that can be used."""
