# It writes the model that the tests read, with a library that they do not need.
collect_ignore = ["make_model.py"]
