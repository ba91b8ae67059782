"""Options of trainings that take seconds."""

SHAPES = {"name": "shapes", "count": 8, "val_count": 4, "size": 32}
TINY = {"backbone": "test_resnet", "epochs": 1, "batch_size": 4, "workers": 0, "probe": "none", "log_every": 1}
VIEWS = {"name": "barlow-twins", "projector": [16, 16], "views": {"size": 32}}
