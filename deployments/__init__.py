"""Where the work runs and what is served: command line, pools, serving."""
