"""ANIL: tasks for meta-learning, its gradient, and whether it helped."""
