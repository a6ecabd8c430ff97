"""What stands still before the camera: textures, meshes, scenes and their baked light."""
