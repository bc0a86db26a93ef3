"""Commands behind the chapter on parameters."""
