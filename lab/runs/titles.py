"""What series are called, in words: in figures, tables and menus."""

TITLES = {
    "lenet": "LeNet-5", "lenet_dropout": "LeNet-5 with dropout",
    "lenet_decay": "LeNet-5 with weight decay", "lenet_augment": "LeNet-5 with augmentation",
    "lenet_reg-no_augment": "LeNet-5 with dropout and weight decay",
    "lenet_reg-weight_decay0.0": "LeNet-5 with dropout and augmentation",
    "lenet_reg-dropout0.0": "LeNet-5 with weight decay and augmentation",
    "lenet_reg": "LeNet-5, regularised", "lenet_heavy": "LeNet-5, regularised too strongly",
    "lenet_record": "LeNet-5, trained longest", "lenet_hands": "LeNet-5 for digits of your own",
    "lenet_fast": "LeNet-5, a few epochs",
    "lenet_reg-bf16": "LeNet-5, regularised, in bfloat16",
    "lenet_1998": "LeNet-5 as published in 1998",
    "lenet_1998-augment": "LeNet-5 as published in 1998, with augmentation",
    # The steps from there to today's: each adds to the one before.
    "lenet_1998_linear": "LeNet-5 of 1998, step 1: linear output",
    "lenet_1998_dense": "LeNet-5 of 1998, step 2: dense C3",
    "lenet_1998_max": "LeNet-5 of 1998, step 3: maximum pooling",
    "lenet_1998_relu": "LeNet-5 of 1998, step 4: ReLU",
    "lenet_wide": "A wider LeNet", "mlp": "CustomMLP", "mlp_28": "CustomMLP without padding",
    "mlp_wide": "A wider MLP", "modern": "A net of today",
    "modern-epochs30-dropout0.1-thickening0.0": "A net of today, regularised as LeNet-5",
    "modern-epochs30-weight_decay0.0-dropout0.0-no_augment": "A net of today, not regularised",
}
