"""What the data is, where it comes from, and whether its splits keep apart what they must."""
