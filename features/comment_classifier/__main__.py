"""The classifier's own command: train it on a user's labels, or build what ships.

python -m features.comment_classifier --help
"""

import sys

from features.comment_classifier.training import main

if __name__ == "__main__":
    sys.exit(main())
