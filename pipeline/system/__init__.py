"""What a process owes the machine that it runs on: signals, file names, full disks, a sandbox."""
