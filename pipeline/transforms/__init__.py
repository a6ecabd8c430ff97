"""Pure augmentation of clips: what cameras, sensors, overlays and re-uploads do to a picture."""

import os

# albumentations asks the network for a newer version at import otherwise.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
