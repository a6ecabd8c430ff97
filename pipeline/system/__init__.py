"""Dealings of a process with its machine: signals, file names, full disks, the sandbox."""
