"""Runs too long for a notebook, by chapter. Each is a command that resumes and writes a record."""
