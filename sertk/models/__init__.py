"""Networks: pooling, ResNet, model files, inference, fused BatchNorm."""
