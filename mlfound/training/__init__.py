"""From a config to trained networks: inputs, plan, loop, evaluation, resume, the gradient check before step one."""
