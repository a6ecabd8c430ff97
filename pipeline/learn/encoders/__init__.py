"""The frozen pretrained networks that `conf/embed.yaml` chooses from."""
