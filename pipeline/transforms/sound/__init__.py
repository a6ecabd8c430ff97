"""Does to the sound of a clip what happens between a microphone and a viewer."""
