"""Pure augmentation of clips: what a camera does, and what its sensor does."""

import os

# albumentations asks the network for a newer version at import otherwise.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
