"""What people do to a video before they upload it again."""
