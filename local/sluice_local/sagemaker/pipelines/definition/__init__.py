"""What a pipeline definition says: read, checked, resolved, ordered, without emulator, clock or storage."""
