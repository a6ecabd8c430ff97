"""People and what they hold: bodies, clothes, poses, the wearer's own arms, weapons."""
