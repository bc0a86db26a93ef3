"""The old name of ``experiments.course_gpt.train``."""

from utils.moved import tell

tell("utils.course_model", "experiments.course_gpt.train")
