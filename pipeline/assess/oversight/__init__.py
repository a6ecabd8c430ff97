"""Documents for those who oversee a detector: model card, datasheet, machine-readable metadata."""
