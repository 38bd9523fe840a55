"""The Amazon States Language: an interpreter that knows no emulator.

`execution.run` takes an execution from its start, or from where it failed, to its end. Time, threads and what
a Task calls come from `outside.Outside`: the local cloud gives it ministack's, unit tests give it fakes.
"""
