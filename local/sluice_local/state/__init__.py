"""What the local cloud knows, kept on disk: saved while it runs, and taken up again when it starts.

`files` keeps bytes whole, `stores` names what is kept, `saver` writes it, `interrupted` ends what no process
runs any more.
"""
