"""Sound by physics: what a microphone in a scene hears, as pressure in pascal and as samples.

A `scene.SoundScene` says what happens where, and `render.render` makes samples of it. Everything is
float64 in numpy and scipy, and a pure function of the scene: the same bytes on every call.
"""
