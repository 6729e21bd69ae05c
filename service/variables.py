"""Environment variables by which `serve.py` and its processes agree. Importing this costs nothing, unlike the rooms."""

STATE = "CREATOR_YIELD_STATE"  # the folder that serve.py and all its processes share
NO_AUTH = "CREATOR_YIELD_NO_AUTH"
HOST, PORT = "CREATOR_YIELD_HOST", "CREATOR_YIELD_PORT"  # what serve.py listens on
LEDGER = "CREATOR_YIELD_LEDGER"  # the file that requests may have their scores sealed in
