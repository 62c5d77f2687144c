"""The daemon: jobs on their schedules, signals, and what systemd wants to hear.

`service.run_daemon` is the way in. APScheduler and its meaning of the word job stay inside `timetable`, and
its triggers inside `inventory.triggers`.
"""
