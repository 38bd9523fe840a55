"""What runs in place of AWS's analyzer images, Model Monitor's and Clarify's, by our own statistics.

A program here is a container's: it knows its environment, /opt/ml, and nothing of the local cloud.
"""
