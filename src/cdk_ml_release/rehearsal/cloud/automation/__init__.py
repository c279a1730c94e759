"""What happens by itself in the rehearsed account: schedules, rules, state machines."""
