"""The same crash for other job systems, with their defaults: one of two workers is killed while it runs jobs.

A script has two verbs: `queue COUNT` queues jobs `task(n)`, n from 0; `work` is a worker. A job appends `start n` to the file CHAOS_RECORD,
takes two seconds, appends `end n`. The script finds its server in REDIS_URL.
"""
