"""What turns radiance into frames: lenses, sensor and ISP, effects, overlays, the game look."""
