"""The old name of ``experiments.course_gpt.card``."""

from utils.moved import tell

tell("utils.course_card", "experiments.course_gpt.card")
