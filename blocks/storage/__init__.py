"""Where things lie: the state folder, artifacts and results on this machine or in a remote store, locks, full disks.
Used through blocks/store.py."""
