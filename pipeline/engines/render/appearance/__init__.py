"""What turns radiance into frames: lenses, sensor and ISP, effects, overlays, games."""
