"""Runs too long for a notebook, by chapter: each is a command that resumes and writes a record.

`experiments.runner` is what they share; its documentation shows how to add one.
"""
