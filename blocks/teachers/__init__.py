"""Teachers: paid models that are asked through one path of journal, budget, rate limit, retries and failover."""
