import torch

# One thread a process: the models are tiny, and two threads that wait for each other on a busy machine are many times
# slower than one.
torch.set_num_threads(1)
