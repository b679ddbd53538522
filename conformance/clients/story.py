"""The workflow that every client of this topic creates, starts, polls and stops:

    PREFIX-start (ON_DEMAND) → PREFIX-quick → PREFIX-then (CONDITIONAL) → PREFIX-slow
"""

QUICK = 'print("quick is done")\n'
SLOW = 'import time\nprint("slow has begun", flush=True)\ntime.sleep(600)\n'

# What spec/workflows §5.3 says of a run that was stopped while its second job ran.
STOPPED = {
    "TotalActions": 2, "SucceededActions": 1, "StoppedActions": 1, "FailedActions": 0,
    "TimeoutActions": 0, "ErroredActions": 0, "RunningActions": 0, "WaitingActions": 0,
}
