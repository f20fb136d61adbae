"""The release phase: the folder that is served, its report and its chat."""
