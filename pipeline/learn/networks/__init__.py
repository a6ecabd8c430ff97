"""The networks that `conf/train.yaml: model.name` chooses from."""
