"""Facts about the data, its origin, and proofs that its splits keep apart what they must."""
