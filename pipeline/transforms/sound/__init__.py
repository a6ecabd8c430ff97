"""What happens to the sound of a clip between a microphone and a viewer."""
