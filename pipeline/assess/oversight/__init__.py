"""What those who oversee a detector ask for: model card, datasheet, machine-readable metadata."""
