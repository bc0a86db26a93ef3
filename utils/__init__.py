"""The library the course's notebooks import.

Rooms, in the order they may import one another (a later room may use an earlier one, never
the reverse): validate, runtime, checks, records, repository, notebooks, data, linear, features,
ensembles, curvature, solution_path, checkpoints, corpus, baselines, budget, gpt, gpt_interop,
train_config, training, course_model, model_card, course_card, sampling, pipelines, generation, playground,
plots, cnn_sweep, cnn_dynamics, widgets.
"""
